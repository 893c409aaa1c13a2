// A TCP server of one model: each connection is a stream with a state of its own; all share the model.
//
// A client sends the inputs of one time step as floats in the machine's byte order and gets the outputs back. Workers
// take new connections as they come; a connection stays with its worker, so that no state is ever shared and no lock is
// needed.
#pragma once
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <recurra.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

namespace example {

// A file descriptor that is closed in the end.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int fd() const { return fd_; }

  // Replies are small and awaited: they must not be held back to be sent together.
  void send_at_once() const {
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }

 private:
  int fd_;
};

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One stream: what has come of the next time step, and the state.
class Connection {
 public:
  Connection(Socket socket, const recurra::Model& model)
      : socket_(std::move(socket)), state_(model), x_(model.inputs()), y_(model.outputs()) {
    socket_.send_at_once();
  }

  int fd() const { return socket_.fd(); }

  // Takes what has come and answers each whole time step. False when the client has gone.
  bool serve() {
    char* const bytes = reinterpret_cast<char*>(x_.data());
    const std::size_t whole = x_.size() * sizeof(float);
    const ssize_t got = ::recv(fd(), bytes + have_, whole - have_, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    have_ += static_cast<std::size_t>(got);
    if (have_ < whole) return true;
    have_ = 0;
    state_.step(x_, y_);
    const auto size = static_cast<ssize_t>(y_.size() * sizeof(float));
    return ::send(fd(), y_.data(), y_.size() * sizeof(float), MSG_NOSIGNAL) == size;
  }

 private:
  Socket socket_;
  recurra::State state_;
  std::vector<float> x_, y_;
  std::size_t have_ = 0;  // bytes of x_
};

class Server {
 public:
  // Serves on a free port of the loopback interface until it is destroyed.
  Server(const recurra::Model& model, int workers)
      : model_(model), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.fd(), 1024) != 0 ||
        ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("cannot listen on the loopback interface");
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Server() {
    stop_ = true;
    for (std::thread& worker : workers_) worker.join();
  }

  std::uint16_t port() const { return port_; }

 private:
  void work() {
    std::vector<std::unique_ptr<Connection>> connections;
    std::vector<pollfd> waiting;
    while (!stop_) {
      waiting.assign(1, {listener_.fd(), POLLIN, 0});
      for (const auto& connection : connections) waiting.push_back({connection->fd(), POLLIN, 0});
      if (::poll(waiting.data(), waiting.size(), 50) <= 0) continue;
      for (std::size_t i = connections.size(); i > 0; --i)
        if (waiting[i].revents && !connections[i - 1]->serve()) connections.erase(connections.begin() + (i - 1));
      if (waiting[0].revents) {
        Socket fresh(::accept(listener_.fd(), nullptr, nullptr));  // another worker may have been quicker
        if (fresh.fd() >= 0) connections.push_back(std::make_unique<Connection>(std::move(fresh), model_));
      }
    }
  }

  const recurra::Model& model_;
  Socket listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace example
