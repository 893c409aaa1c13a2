// Serves a model on the loopback interface, asks it from many connections at once, and prints how long answers took.
//
//   c++ -std=c++17 -O2 main.cc $(recurra-config --cflags --libs) -o server
//   ./server model.safetensors [connections] [requests of each] [workers]
//
// Every answer is compared with what a state in this thread gives: streams do not disturb each other.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "server.h"

namespace {

using example::Socket;

// Inputs of one stream, T times I, and the outputs they must give.
struct Talk {
  std::vector<float> x, y;
};

Talk rehearse(const recurra::Model& model, std::size_t steps, std::size_t stream) {
  Talk talk;
  talk.x.resize(steps * model.inputs());
  talk.y.resize(steps * model.outputs());
  for (std::size_t i = 0; i < talk.x.size(); ++i) talk.x[i] = std::sin(0.3f * static_cast<float>(i + 7 * stream));
  recurra::State state(model);
  for (std::size_t t = 0; t < steps; ++t)
    state.step(recurra::span<const float>(talk.x.data() + t * model.inputs(), model.inputs()),
               recurra::span<float>(talk.y.data() + t * model.outputs(), model.outputs()));
  return talk;
}

Socket connect_to(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = example::loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
  socket.send_at_once();
  return socket;
}

// Sends one time step and waits for the answer; microseconds.
double ask(const Socket& socket, const float* x, std::size_t inputs, std::vector<float>& y) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t size = y.size() * sizeof(float);
  if (::send(socket.fd(), x, inputs * sizeof(float), MSG_NOSIGNAL) < 0 ||
      ::recv(socket.fd(), y.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size))
    throw std::runtime_error("the server has gone");
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// A thread that asks for every `clients`-th stream, one request after the other.
struct Client {
  std::vector<double> times;
  std::size_t wrong = 0;

  void run(const recurra::Model& model, const std::vector<Talk>& talks, const std::vector<Socket>& sockets,
           std::size_t requests, std::size_t first, std::size_t clients) try {
    std::vector<float> y(model.outputs());
    for (std::size_t t = 0; t < requests; ++t)
      for (std::size_t i = first; i < talks.size(); i += clients) {
        times.push_back(ask(sockets[i], talks[i].x.data() + t * model.inputs(), model.inputs(), y));
        wrong += !std::equal(y.begin(), y.end(), talks[i].y.begin() + static_cast<long>(t * model.outputs()));
      }
  } catch (const std::exception&) {
    ++wrong;
  }
};

int test(const char* path, std::size_t connections, std::size_t requests, int workers) {
  constexpr std::size_t kClients = 4;
  recurra::Model model(path);
  example::Server server(model, workers);
  std::vector<Talk> talks;
  std::vector<Socket> sockets;
  for (std::size_t i = 0; i < connections; ++i) {
    talks.push_back(rehearse(model, requests, i));
    sockets.push_back(connect_to(server.port()));
  }
  std::vector<Client> clients(kClients);
  std::vector<std::thread> threads;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < kClients; ++i)
    threads.emplace_back([&, i] { clients[i].run(model, talks, sockets, requests, i, kClients); });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

  std::vector<double> times;
  std::size_t wrong = 0;
  for (const Client& client : clients) {
    times.insert(times.end(), client.times.begin(), client.times.end());
    wrong += client.wrong;
  }
  std::sort(times.begin(), times.end());
  if (times.empty()) return 1;
  const auto at = [&](double share) { return times[static_cast<std::size_t>(share * double(times.size() - 1))]; };
  std::printf("%zu connections, %d workers, %zu answers in %.2f s, %zu wrong\n", connections, workers, times.size(),
              took.count(), wrong);
  std::printf("latency: median %.0f us, p90 %.0f us, p99 %.0f us, worst %.0f us\n", at(0.5), at(0.9), at(0.99), at(1));
  return wrong == 0 && times.size() == connections * requests ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, long otherwise) { return argc > i ? std::strtol(argv[i], nullptr, 10) : otherwise; };
  const char* path = argc > 1 ? argv[1] : "sine.safetensors";
  try {
    return test(path, static_cast<std::size_t>(number(2, 64)), static_cast<std::size_t>(number(3, 100)),
                static_cast<int>(number(4, 2)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
