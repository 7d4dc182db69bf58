// SPDX-License-Identifier: MIT
/* The tasks on Boost.Asio, with the coroutines of C++20 where it has a use for them. */
#include <utility>	// which Boost 1.74 uses and does not include
#include <boost/asio.hpp>
#include <array>
#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

extern "C" {
#include "tasks.h"
}

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using asio::use_awaitable;

/* Of one thread, which it may know. Made when it is asked for: after a fork. */
static asio::io_context &io()
{
	static asio::io_context context(1);

	return context;
}

static void run(awaitable<void> what)
{
	asio::co_spawn(io(), std::move(what), asio::detached);
	io().restart();
	io().run();
}

/* ---- spawn, yield, oneshot ---- */

static awaitable<void> nothing()
{
	co_return;
}

static awaitable<void> spawns(uint64_t n)
{
	for (; n; n--)
		co_await asio::co_spawn(io(), nothing(), use_awaitable);
}

static void spawn_run(uint64_t n)
{
	run(spawns(n));
}

static awaitable<void> yields(uint64_t n)
{
	for (; n; n--)
		co_await asio::post(io(), use_awaitable);
}

static void yield_run(uint64_t n)
{
	asio::co_spawn(io(), yields(n / 2), asio::detached);
	run(yields(n - n / 2));
}

/* A result that comes later: what co_spawn() of a function that returns one is. */
static awaitable<int> one()
{
	co_return 1;
}

static awaitable<void> oneshots(uint64_t n)
{
	for (; n; n--) {
		int result = co_await asio::co_spawn(io(), one(), use_awaitable);

		if (result != 1)
			abort();
	}
}

static void oneshot_run(uint64_t n)
{
	run(oneshots(n));
}

/* ---- two threads: post() ---- */

static asio::io_context &other()
{
	static asio::io_context context(1);

	return context;
}

static uint64_t left_, unasked;

static void ask_one();

static void answered()
{
	if (unasked) {
		unasked--;
		ask_one();
	}
	if (!--left_)
		io().stop();
}

static void ask_one()
{
	asio::post(other(), [] { asio::post(io(), answered); });
}

static void threads_prepare()
{
	std::thread([] {
		auto work = asio::make_work_guard(other());
		other().run();
	}).detach();
}

static void ask(uint64_t n, uint64_t window)
{
	auto work = asio::make_work_guard(io());
	uint64_t first = n < window ? n : window;

	left_ = n;
	unasked = n - first;
	io().restart();
	for (; first; first--)
		ask_one();
	io().run();
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- timers ---- */

static std::vector<asio::steady_timer> *timers;
static std::chrono::steady_clock::time_point base;

static void timer_set(asio::steady_timer &timer)
{
	timer.expires_at(base + std::chrono::milliseconds(random_timeout_ms()));
	timer.async_wait([](const boost::system::error_code &) {});
}

static void timers_prepare()
{
	base = std::chrono::steady_clock::now();
	timers = new std::vector<asio::steady_timer>;
	timers->reserve(TIMERS);
	for (int i = 0; i < TIMERS; i++)
		timer_set(timers->emplace_back(io()));
}

/* A handler is run for each that was cancelled: that belongs to it. */
static void timers_run(uint64_t n)
{
	io().restart();
	for (; n; n--) {
		timer_set((*timers)[next_random() % TIMERS]);
		if (n % 64 == 0)
			io().poll();
	}
	io().poll();
}

static void timers_check()
{
	for (auto &timer : *timers)
		if (timer.cancel() != 1)
			errx(EXIT_FAILURE, "a timer is not set");
}

/* ---- files: on its ring, if it has one ---- */

#if defined(BOOST_ASIO_HAS_FILE)
#define READS { "read1", read1_run, read_prepare, nullptr }, { "read32", read32_run, read_prepare, nullptr },

static asio::random_access_file *file;
static std::array<char, BLOCK> blocks[DEPTH];

static void read_prepare()
{
	file = new asio::random_access_file(io(), file_to_read());
}

static awaitable<void> reads(uint64_t n, int i)
{
	for (; n; n--) {
		off_t offset = random_offset();
		size_t got = co_await file->async_read_some_at((uint64_t)offset, asio::buffer(blocks[i]),
								use_awaitable);

		block_check(blocks[i].data(), (int64_t)got, offset);
	}
}

static void read1_run(uint64_t n)
{
	run(reads(n, 0));
}

static void read32_run(uint64_t n)
{
	for (int i = 1; i < DEPTH; i++)
		asio::co_spawn(io(), reads(n / DEPTH, i), asio::detached);
	run(reads(n - n / DEPTH * (DEPTH - 1), 0));
}
#else
#define READS
#endif

static const struct task tasks[] = {
	{ "spawn", spawn_run, nullptr, nullptr },
	{ "yield", yield_run, nullptr, nullptr },
	{ "oneshot", oneshot_run, nullptr, nullptr },
	{ "roundtrip", roundtrip_run, threads_prepare, nullptr },
	{ "pipelined", pipelined_run, threads_prepare, nullptr },
	{ "timers", timers_run, timers_prepare, timers_check },
	READS
	{ nullptr, nullptr, nullptr, nullptr },
};

/* ---- echo ---- */

using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

static awaitable<void> serve(tcp::socket conn)
{
	std::vector<char> buffer(65536);

	conn.set_option(tcp::no_delay(true));
	try {
		for (;;) {
			size_t n = co_await conn.async_read_some(asio::buffer(buffer), use_awaitable);

			co_await asio::async_write(conn, asio::buffer(buffer, n), use_awaitable);
		}
	} catch (const std::exception &) {
		/* the end of the connection */
	}
}

static awaitable<void> listen_for_ever(unsigned short port)
{
	tcp::endpoint at(asio::ip::address_v4::loopback(), port);
	tcp::acceptor acceptor(io(), at.protocol());

	acceptor.set_option(reuse_port(true));
	acceptor.bind(at);
	acceptor.listen(4096);
	std::cout << "listening on 127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
	for (;;)
		asio::co_spawn(io(), serve(co_await acceptor.async_accept(use_awaitable)), asio::detached);
}

int main(int argc, char **argv)
{
	int port = echo_port(argc, argv);

	if (port >= 0)
		run(listen_for_ever((unsigned short)port));

	int status = tasks_main(argc, argv, BOOST_LIB_VERSION, tasks);

	/* The other thread is in a context of ours: that one is not destroyed. */
	fflush(stdout);
	_exit(status);
}
