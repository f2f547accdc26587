#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "test/devices.h"

namespace kv::test {

TEST_SUITE_BEGIN("event");

TEST_CASE_TEMPLATE("is done before its first record, and when its stream has come to it", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto event = backend->make_event(false);
  CHECK(event->is_done());
  event->synchronize();
  typename On::Hold hold({stream});
  stream->record(*event);
  CHECK_FALSE(event->is_done());
  hold.open();
  event->synchronize();
  CHECK(event->is_done());
}

TEST_CASE_TEMPLATE("orders work of different streams", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr writer = backend->make_stream();
  const StreamPtr reader = backend->make_stream();
  const auto from = allocate(backend, writer, 1000);
  const auto to = allocate(backend, reader, 1000);
  from->use_on(reader);
  const auto written = backend->make_event(false);
  const auto read = backend->make_event(false);
  for (int round = 0; round < 50; ++round) {
    writer->wait(*read);
    writer->fill(from->address(), static_cast<uint8_t>(round), 1000);
    writer->record(*written);
    reader->wait(*written);
    reader->copy(to->address(), from->address(), 1000);
    reader->record(*read);
    if (round % 10 == 0) CHECK(contents(*to, *reader) == repeated(1000, static_cast<uint8_t>(round)));
  }
  CHECK(contents(*to, *reader) == repeated(1000, 49));
}

TEST_CASE("is not waited for when it is recorded only later") {
  const auto backend = OnHost::open();
  const StreamPtr early = backend->make_stream();
  const StreamPtr late = backend->make_stream();
  const auto event = backend->make_event(false);
  const HostHold hold({late});
  early->wait(*event);
  late->record(*event);
  early->synchronize();
  CHECK_FALSE(event->is_done());
}

TEST_CASE_TEMPLATE("counts for its last record only", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr first = backend->make_stream();
  const StreamPtr second = backend->make_stream();
  const auto event = backend->make_event(false);
  first->record(*event);
  first->synchronize();
  CHECK(event->is_done());
  typename On::Hold hold({second});
  second->record(*event);
  CHECK_FALSE(event->is_done());
  hold.open();
  event->synchronize();
  CHECK(event->is_done());
}

TEST_CASE_TEMPLATE("may go while streams record it and wait for it", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr first = backend->make_stream();
  const StreamPtr second = backend->make_stream();
  {
    const typename On::Hold hold({first});
    const auto event = backend->make_event(true);
    first->record(*event);
    second->wait(*event);
  }
  second->synchronize();
}

TEST_CASE_TEMPLATE("measures the time between two records", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto start = backend->make_event(true);
  const auto end = backend->make_event(true);
  stream->record(*start);
  start->synchronize();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  stream->record(*end);
  end->synchronize();
  const double passed_ms = end->elapsed_ms_since(*start);
  CHECK(passed_ms >= 5);
  CHECK(start->elapsed_ms_since(*end) == doctest::Approx(-passed_ms));
}

TEST_CASE_TEMPLATE("has no time before it is recorded and done", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto start = backend->make_event(true);
  const auto end = backend->make_event(true);
  CHECK(code_of([&] { end->elapsed_ms_since(*start); }) != "");
  stream->record(*start);
  start->synchronize();
  CHECK(code_of([&] { end->elapsed_ms_since(*start); }) != "");
  typename On::Hold hold({stream});
  stream->record(*end);
  CHECK(code_of([&] { end->elapsed_ms_since(*start); }) != "");
}

TEST_CASE("of a host keeps the time of its last record when an earlier one is reached later") {
  const auto backend = OnHost::open();
  const StreamPtr slow = backend->make_stream();
  const StreamPtr fast = backend->make_stream();
  const auto start = backend->make_event(true);
  const auto event = backend->make_event(true);
  fast->record(*start);
  HostHold hold({slow});
  slow->record(*event);
  fast->record(*event);
  event->synchronize();
  start->synchronize();
  const double elapsed_ms = event->elapsed_ms_since(*start);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  hold.open();
  slow->synchronize();
  CHECK(event->elapsed_ms_since(*start) == elapsed_ms);
}

TEST_CASE("of one kind of device is refused by the other") {
  const auto host = OnHost::open();
  const auto cuda = OnFakeCuda::open();
  const auto host_event = host->make_event(true);
  const auto cuda_event = cuda->make_event(true);
  CHECK(code_of([&] { host->make_stream()->record(*cuda_event); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { host->make_stream()->wait(*cuda_event); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { cuda->make_stream()->record(*host_event); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { cuda->make_stream()->wait(*host_event); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { host_event->elapsed_ms_since(*cuda_event); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { cuda_event->elapsed_ms_since(*host_event); }) == "INVALID_ARGUMENT");
}

TEST_SUITE_END();

}  // namespace kv::test
