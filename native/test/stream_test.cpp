#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <numeric>
#include <thread>

#include "test/devices.h"

namespace kv::test {

// What every stream promises, whatever its device.
TEST_SUITE_BEGIN("stream");

TEST_CASE_TEMPLATE("does its work in the order in which it was queued", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto first = allocate(backend, stream, 1000);
  const auto second = allocate(backend, stream, 1000);
  for (int round = 0; round < 50; ++round) {
    const auto value = static_cast<uint8_t>(round);
    stream->fill(first->address(), value, 1000);
    stream->copy(second->address(), first->address(), 1000);
    stream->fill(first->address(), 0xEE, 1000);
    CHECK(contents(*second, *stream) == repeated(1000, value));
    CHECK(contents(*first, *stream) == repeated(1000, 0xEE));
  }
}

TEST_CASE_TEMPLATE("returns before the work is done", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto memory = allocate(backend, stream, 100);
  stream->synchronize();
  CHECK(stream->is_idle());
  typename On::Hold hold({stream});
  stream->fill(memory->address(), 7, 100);
  CHECK_FALSE(stream->is_idle());
  hold.open();
  stream->synchronize();
  CHECK(stream->is_idle());
}

TEST_CASE_TEMPLATE("has read what it uploads when upload returns", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto memory = allocate(backend, stream, 100);
  std::vector<std::byte> source = repeated(100, 1);

  SUBCASE("on an idle stream") {
    stream->synchronize();
    stream->upload(memory->address(), source.data(), source.size());
    std::fill(source.begin(), source.end(), std::byte{2});
  }
  SUBCASE("on a busy stream") {
    const typename On::Hold hold({stream});
    stream->fill(memory->address(), 9, 100);
    stream->upload(memory->address(), source.data(), source.size());
    std::fill(source.begin(), source.end(), std::byte{2});
  }
  CHECK(contents(*memory, *stream) == repeated(100, 1));
}

TEST_CASE_TEMPLATE("has read pinned memory too when upload returns", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  for (int round = 0; round < 20; ++round) {
    const auto memory = allocate(backend, stream, 100);
    const auto pinned = allocate(backend, stream, 100, MemoryKind::pinned);
    stream->synchronize();
    std::fill_n(pinned->address(), 100, std::byte{1});
    stream->upload(memory->address(), pinned->address(), 100);
    std::fill_n(pinned->address(), 100, std::byte{2});
    CHECK(contents(*memory, *stream) == repeated(100, 1));
  }
}

TEST_CASE_TEMPLATE("moves long arrays both ways, in the order of its work", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  constexpr size_t mebibyte = size_t{1} << 20;
  // From one piece to several that take turns, whole ones and others.
  for (const size_t bytes : {mebibyte, 8 * mebibyte, 16 * mebibyte + 1, 29 * mebibyte - 3}) {
    CAPTURE(bytes);
    const auto memory = allocate(backend, stream, bytes);
    std::vector<std::byte> source(bytes);
    for (size_t i = 0; i < bytes; ++i) source[i] = static_cast<std::byte>(i * 2654435761u >> 24);
    const std::vector<std::byte> wanted = source;
    stream->fill(memory->address(), 9, bytes);
    stream->upload(memory->address(), source.data(), bytes);
    std::fill(source.begin(), source.end(), std::byte{2});
    CHECK(contents(*memory, *stream) == wanted);
    stream->fill(memory->address(), 7, bytes);
    CHECK(contents(*memory, *stream) == repeated(bytes, 7));
  }
}

TEST_CASE_TEMPLATE("calls back after the work, in order, on another thread", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  std::vector<int> order;
  std::promise<std::thread::id> last;
  {
    const typename On::Hold hold({stream});
    for (int i = 0; i < 10; ++i) {
      stream->when_done([&order, i](const std::exception_ptr& failure) {
        CHECK(failure == nullptr);
        order.push_back(i);
      });
    }
    stream->when_done([&](const std::exception_ptr&) { last.set_value(std::this_thread::get_id()); });
    CHECK(order.empty());
  }
  CHECK(last.get_future().get() != std::this_thread::get_id());
  std::vector<int> expected(10);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE_TEMPLATE("calls back even when it is dropped first", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  std::promise<void> called;
  backend->make_stream()->when_done([&](const std::exception_ptr&) { called.set_value(); });
  called.get_future().get();
}

TEST_CASE_TEMPLATE("may be dropped by its own callback", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  std::promise<void> dropped;
  {
    StreamPtr stream = backend->make_stream();
    Stream& borrowed = *stream;
    typename On::Hold hold({stream});
    // Shared, since a callback can be copied; goes with the callback, on the stream's own thread.
    auto owned = std::shared_ptr<StreamPtr>(new StreamPtr(std::move(stream)), [&](StreamPtr* last) {
      delete last;
      dropped.set_value();
    });
    borrowed.when_done([owned = std::move(owned)](const std::exception_ptr&) {});
  }
  dropped.get_future().get();
}

TEST_CASE_TEMPLATE("takes work from several threads at once", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto memory = allocate(backend, stream, 400);
  std::atomic<int> num_calls = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) stream->fill(memory->address() + i * 100, static_cast<uint8_t>(i), 100);
    });
  }
  for (auto& thread : threads) thread.join();
  stream->when_done([&](const std::exception_ptr&) { ++num_calls; });
  const auto found = contents(*memory, *stream);
  for (size_t i = 0; i < 400; ++i) CHECK(found[i] == static_cast<std::byte>(i / 100));
  while (num_calls == 0) std::this_thread::yield();
}

TEST_SUITE_END();

}  // namespace kv::test
