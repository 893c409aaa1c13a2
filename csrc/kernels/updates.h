// The rules of the optimizers, in Keras's form, and the loop that applies one to a stretch of the parameters.
//
// A rule gets p and g of Update, its slots s and its numbers c, all as vectors; it changes s and returns the new p.
#pragma once
#include "kernels/elementwise.h"
#include "kernels/updates_table.h"

namespace recurra {
namespace RECURRA_TARGET {

// p' = p - rate g
template <class T>
struct Sgd {
  static constexpr Rule kRule = Rule::kSgd;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>*, const Vec<T>* c) {
    const Vec<T> rate = c[0];
    return fma(-rate, g, p);
  }
};

// Momentum (Sutskever et al. 2013):  v' = momentum v - rate g     p' = p + v', Nesterov: p + momentum v' - rate g
template <class T, bool nesterov>
struct Momentum {
  static constexpr Rule kRule = nesterov ? Rule::kNesterov : Rule::kMomentum;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], momentum = c[1];
    const Vec<T> u = rate * g;
    s[0] = fma(momentum, s[0], -u);
    return p + (nesterov ? fma(momentum, s[0], -u) : s[0]);
  }
};

// RMSprop (Tieleman & Hinton 2012; centered: Graves 2013), rest = 1 - rho:
//   v' = rho v + rest g^2     a' = rho a + rest g     u = rate g / sqrt(v' + epsilon), centered: v' - a'^2 for v'
//   p' = p - u, with momentum: m' = momentum m + u, p' = p - m'
// Slots: v, then m if there is momentum, then a if centered. v' - a'^2 is taken as 0 where rounding makes it negative.
template <class T, bool centered, bool momentous>
struct Rmsprop {
  static constexpr Rule kRule = centered ? (momentous ? Rule::kRmspropCenteredMomentum : Rule::kRmspropCentered)
                                         : (momentous ? Rule::kRmspropMomentum : Rule::kRmsprop);
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], rho = c[1], rest = c[2], epsilon = c[3];
    s[0] = fma(rho, s[0], rest * g * g);
    Vec<T> variance = s[0];
    if (centered) {
      Vec<T>& a = s[momentous ? 2 : 1];
      a = fma(rho, a, rest * g);
      variance = max(Vec<T>{}, fma(-a, a, variance));
    }
    const Vec<T> u = rate * g / sqrt(variance + epsilon);
    if (!momentous) return p - u;
    s[1] = fma(c[4], s[1], u);
    return p - s[1];
  }
};

// Adagrad (Duchi, Hazan & Singer 2011):  a' = a + g^2     p' = p - rate g / sqrt(a' + epsilon)
template <class T>
struct Adagrad {
  static constexpr Rule kRule = Rule::kAdagrad;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], epsilon = c[1];
    s[0] = fma(g, g, s[0]);
    return p - rate * g / sqrt(s[0] + epsilon);
  }
};

// Adadelta (Zeiler 2012), rest = 1 - rho:
//   a' = rho a + rest g^2     u = g sqrt(d + epsilon) / sqrt(a' + epsilon)     d' = rho d + rest u^2     p' = p - rate
//   u
template <class T>
struct Adadelta {
  static constexpr Rule kRule = Rule::kAdadelta;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], rho = c[1], rest = c[2], epsilon = c[3];
    s[0] = fma(rho, s[0], rest * g * g);
    const Vec<T> u = g * sqrt(s[1] + epsilon) / sqrt(s[0] + epsilon);
    s[1] = fma(rho, s[1], rest * u * u);
    return fma(-rate, u, p);
  }
};

// Adam (Kingma & Ba 2015), rate = learning rate * sqrt(1 - beta2^t) / (1 - beta1^t), rest = 1 - beta:
//   m' = beta1 m + rest1 g     v' = beta2 v + rest2 g^2     p' = p - rate m' / (sqrt(v') + epsilon)
// AMSGrad (Reddi, Kale & Kumar 2018): the largest v' so far, the third slot, in the place of v'.
template <class T, bool amsgrad>
struct Adam {
  static constexpr Rule kRule = amsgrad ? Rule::kAmsgrad : Rule::kAdam;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], beta1 = c[1], rest1 = c[2], beta2 = c[3], rest2 = c[4], epsilon = c[5];
    s[0] = fma(beta1, s[0], rest1 * g);
    s[1] = fma(beta2, s[1], rest2 * g * g);
    if (amsgrad) s[2] = max(s[2], s[1]);
    return p - rate * s[0] / (sqrt(s[amsgrad ? 2 : 1]) + epsilon);
  }
};

// Nadam (Dozat 2016), m' and v' as in Adam:  p' = p - (ahead m' + now g) / (sqrt(v') + epsilon)
// Every number but the betas has the learning rate and the corrections of step t in it.
template <class T>
struct Nadam {
  static constexpr Rule kRule = Rule::kNadam;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> ahead = c[0], now = c[1], beta1 = c[2], rest1 = c[3], beta2 = c[4], rest2 = c[5], epsilon = c[6];
    s[0] = fma(beta1, s[0], rest1 * g);
    s[1] = fma(beta2, s[1], rest2 * g * g);
    return p - fma(ahead, s[0], now * g) / (sqrt(s[1]) + epsilon);
  }
};

// Adamax (Kingma & Ba 2015, section 7), rate = learning rate / (1 - beta1^t), rest = 1 - beta1:
//   m' = beta1 m + rest g     u' = max(beta2 u, |g|)     p' = p - rate m' / (u' + epsilon)
template <class T>
struct Adamax {
  static constexpr Rule kRule = Rule::kAdamax;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], beta1 = c[1], rest = c[2], beta2 = c[3], epsilon = c[4];
    s[0] = fma(beta1, s[0], rest * g);
    s[1] = max(beta2 * s[1], abs<T>(g));
    return p - rate * s[0] / (s[1] + epsilon);
  }
};

// Lion (Chen et al. 2023), rest = 1 - beta:
//   p' = p - rate sign(beta1 m + rest1 g)     m' = beta2 m + rest2 g
template <class T>
struct Lion {
  static constexpr Rule kRule = Rule::kLion;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>* s, const Vec<T>* c) {
    const Vec<T> rate = c[0], beta1 = c[1], rest1 = c[2], beta2 = c[3], rest2 = c[4];
    const Vec<T> u = fma(beta1, s[0], rest1 * g);
    s[0] = fma(beta2, s[0], rest2 * g);
    const Vec<T> zero{};
    return p - select(u > zero, rate, select(u < zero, -rate, u));  // u where it is neither: 0 or NaN
  }
};

// Exponential moving average of g, rest = 1 - momentum:  p' = momentum p + rest g
template <class T>
struct Average {
  static constexpr Rule kRule = Rule::kAverage;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>*, const Vec<T>* c) { return fma(c[0], p, c[1] * g); }
};

// p' = p + g
template <class T>
struct Add {
  static constexpr Rule kRule = Rule::kAdd;
  RECURRA_INLINE Vec<T> step(Vec<T> p, Vec<T> g, Vec<T>*, const Vec<T>*) { return p + g; }
};

template <class T, class R>
void update(const Update<T>& u) {
  constexpr int kSlots = kRules[static_cast<int>(R::kRule)].slots;
  constexpr int kNumbers = kRules[static_cast<int>(R::kRule)].numbers;
  Vec<T> c[kNumbers + 1];
  for (int k = 0; k < kNumbers; ++k) c[k] = broadcast(u.numbers[k]);
  const Vec<T> scale = broadcast(u.scale), limit = broadcast(u.limit), decay = broadcast(u.decay);
  for (long i = 0; i < u.count; i += kLanes<T>) {
    const long left = u.count - i;
    Vec<T> s[kSlots + 1];
    for (int k = 0; k < kSlots; ++k) s[k] = load_upto(u.slots[k] + i, left);
    const Vec<T> g = clamp(scale * load_upto(u.gradients + i, left), limit);
    const Vec<T> p = R::step(decay * load_upto(u.parameters + i, left), g, s, c);
    for (int k = 0; k < kSlots; ++k) store_upto(u.slots[k] + i, s[k], left);
    store_upto(u.parameters + i, p, left);
  }
}

template <class T, class R>
void put(void (**table)(const Update<T>&)) {
  table[static_cast<int>(R::kRule)] = update<T, R>;
}

template <class T>
void fill_updates(void (**table)(const Update<T>&)) {
  put<T, Sgd<T>>(table);
  put<T, Momentum<T, false>>(table);
  put<T, Momentum<T, true>>(table);
  put<T, Rmsprop<T, false, false>>(table);
  put<T, Rmsprop<T, false, true>>(table);
  put<T, Rmsprop<T, true, false>>(table);
  put<T, Rmsprop<T, true, true>>(table);
  put<T, Adagrad<T>>(table);
  put<T, Adadelta<T>>(table);
  put<T, Adam<T, false>>(table);
  put<T, Adam<T, true>>(table);
  put<T, Nadam<T>>(table);
  put<T, Adamax<T>>(table);
  put<T, Lion<T>>(table);
  put<T, Average<T>>(table);
  put<T, Add<T>>(table);
}

// In double, in 16 sums that are added up in order.
template <class T>
double sum_of_squares(long count, const T* x) {
  constexpr long kSums = 16;
  double sums[kSums] = {};
  for (long i = 0; i < count; i += kSums) {
    const long some = count - i < kSums ? count - i : kSums;
    for (long k = 0; k < some; ++k) sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
