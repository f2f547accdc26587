#include <doctest/doctest.h>

#include <future>

#include "test/devices.h"

namespace kv::test {

constexpr MemoryKind kKinds[] = {MemoryKind::pool, MemoryKind::plain, MemoryKind::pinned};
// Large enough that the host gives it back to the system: using it after that is a fault, also without a sanitizer.
constexpr size_t kBytes = size_t{1} << 20;

TEST_SUITE_BEGIN("memory");

TEST_CASE_TEMPLATE("is aligned as asked, and all of it can be used", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  for (const MemoryKind kind : kKinds) {
    for (const size_t alignment : {1, 2, 64, 256, 512, 4096, 65536, 1 << 21}) {
      for (const size_t bytes : {size_t{1}, size_t{255}, size_t{4097}, size_t{100'000}}) {
        const Memory memory(backend, stream, bytes, alignment, kind);
        CAPTURE(alignment);
        CHECK(reinterpret_cast<uintptr_t>(memory.address()) % std::max(alignment, kNaturalAlignment) == 0);
        CHECK(memory.bytes() == bytes);
        stream->fill(memory.address(), 5, bytes);
        CHECK(contents(memory, *stream) == repeated(bytes, 5));
      }
    }
  }
}

TEST_CASE_TEMPLATE("is refused when size and alignment exceed the address space", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  CHECK(code_of([&] { Memory(backend, stream, SIZE_MAX, 512, MemoryKind::pool); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { Memory(backend, stream, 1, size_t{1} << 52, MemoryKind::pool); }) == "OUT_OF_MEMORY");
}

TEST_CASE_TEMPLATE("that is out names what was wanted and what is free", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  constexpr double wanted_bytes = size_t{1} << 50;
  try {
    allocate(backend, stream, size_t{1} << 50);
    FAIL("was allocated");
  } catch (const Error& error) {
    CHECK(error.code() == "OUT_OF_MEMORY");
    CHECK(error.fields()[0].value == decltype(ErrorField::value)(backend->properties().name));
    CHECK(error.fields()[1].value == decltype(ErrorField::value)(wanted_bytes));
    CHECK(std::get<double>(error.fields()[2].value) > 0);
    CHECK(std::get<double>(error.fields()[3].value) == static_cast<double>(backend->memory_info().total_bytes));
  }
}

TEST_CASE_TEMPLATE("is freed after the work queued on it", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  for (const MemoryKind kind : kKinds) {
    auto memory = allocate(backend, stream, kBytes, kind);
    const typename On::Hold hold({stream});
    stream->fill(memory->address(), 1, kBytes);
    memory.reset();
  }
  stream->synchronize();
}

TEST_CASE_TEMPLATE("is freed after the work of every stream that used it", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  for (const MemoryKind kind : kKinds) {
    for (size_t last = 0; last < 3; ++last) {
      const std::vector<StreamPtr> streams{backend->make_stream(), backend->make_stream(), backend->make_stream()};
      auto memory = allocate(backend, streams[0], kBytes, kind);
      for (const StreamPtr& stream : streams) {
        memory->use_on(stream);
        stream->synchronize();
      }
      typename On::Hold hold({streams[last]});
      // Each its own part: nothing orders them.
      for (size_t i = 0; i < 3; ++i) streams[i]->fill(memory->address() + i * (kBytes / 3), 1, kBytes / 3);
      memory.reset();
      hold.open();
      for (const StreamPtr& stream : streams) stream->synchronize();
    }
  }
}

TEST_CASE_TEMPLATE("is used on another stream only after its allocation and zeroing", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  for (int round = 0; round < 20; ++round) {
    const StreamPtr home = backend->make_stream();
    const StreamPtr other = backend->make_stream();
    const auto memory = allocate(backend, home, kBytes);
    const auto copy = allocate(backend, other, kBytes);
    home->fill(memory->address(), 0, kBytes);
    memory->use_on(other);
    other->copy(copy->address(), memory->address(), kBytes);
    CHECK(contents(*copy, *other) == repeated(kBytes, 0));
  }
}

TEST_CASE_TEMPLATE("outlives the handles of its device and streams", On, OnHost, OnFakeCuda) {
  auto backend = On::open();
  StreamPtr home = backend->make_stream();
  StreamPtr other = backend->make_stream();
  auto memory = allocate(backend, home, kBytes);
  memory->use_on(other);
  typename On::Hold hold({home, other});
  other->fill(memory->address(), 3, kBytes);
  Stream& borrowed = *other;
  backend.reset();
  home.reset();
  other.reset();
  hold.open();
  CHECK(contents(*memory, borrowed) == repeated(kBytes, 3));
}

TEST_CASE_TEMPLATE("forgets streams that are idle and known to nobody else", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr home = backend->make_stream();
  const auto memory = allocate(backend, home, 100);
  std::vector<std::weak_ptr<Stream>> used;
  for (int i = 0; i < 5; ++i) {
    const StreamPtr stream = backend->make_stream();
    memory->use_on(stream);
    stream->fill(memory->address(), 1, 100);
    stream->synchronize();
    used.emplace_back(stream);
  }
  memory->use_on(backend->make_stream());
  for (const auto& each : used) CHECK(each.expired());
}

TEST_CASE_TEMPLATE("may be given back by a stream's own thread", On, OnHost, OnFakeCuda) {
  for (const MemoryKind kind : kKinds) {
    std::promise<void> dropped;
    {
      const auto backend = On::open();
      const StreamPtr home = backend->make_stream();
      const StreamPtr other = backend->make_stream();
      auto memory = allocate(backend, home, kBytes, kind);
      memory->use_on(other);
      const typename On::Hold hold({home, other});
      home->fill(memory->address(), 1, kBytes / 2);
      other->fill(memory->address() + kBytes / 2, 2, kBytes / 2);
      auto owned = std::shared_ptr<std::shared_ptr<Memory>>(new std::shared_ptr<Memory>(std::move(memory)),
                                                            [&](std::shared_ptr<Memory>* last) {
                                                              delete last;
                                                              dropped.set_value();
                                                            });
      home->when_done([owned = std::move(owned)](const std::exception_ptr&) {});
    }
    dropped.get_future().get();
  }
}

TEST_CASE_TEMPLATE("may take the last hold of its streams along, on the thread of one of them", On, OnHost,
                   OnFakeCuda) {
  std::promise<void> dropped;
  {
    const auto backend = On::open();
    StreamPtr home = backend->make_stream();
    StreamPtr other = backend->make_stream();
    auto memory = allocate(backend, home, kBytes);
    memory->use_on(other);
    const auto later = backend->make_event(false);
    Stream& borrowed = *home;
    const typename On::Hold hold({home});
    auto owned = std::shared_ptr<std::shared_ptr<Memory>>(new std::shared_ptr<Memory>(std::move(memory)),
                                                          [&](std::shared_ptr<Memory>* last) {
                                                            delete last;
                                                            dropped.set_value();
                                                          });
    borrowed.when_done([owned = std::move(owned)](const std::exception_ptr&) {});
    // The other stream waits for what comes after the callback that drops it.
    borrowed.record(*later);
    other->wait(*later);
    home.reset();
    other.reset();
  }
  dropped.get_future().get();
}

TEST_SUITE_END();

}  // namespace kv::test
