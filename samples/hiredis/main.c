// SPDX-License-Identifier: MIT
/*
 * mn-redis: fibers that share a connection to Redis, by hiredis on miniss.
 *
 *	mn-redis [--connect=HOST:PORT|unix:PATH] [--fibers=N] [--requests=N]
 *		[runtime options]
 *
 * Each fiber sets a key of its own, reads it back, and adds to a counter that
 * all share; at the end the counter must be what was added. The keys begin
 * with "mn-redis:" and are deleted. Exit codes: 0, 1 failed, 2 usage.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"

MN_APP_PARAM(str, connect, "127.0.0.1:6379", 1, 127, "where Redis is");
MN_APP_PARAM(uint, fibers, 50, 1, 1000, "that ask at once");
MN_APP_PARAM(uint, requests, 100, 1, 1000000, "times three, of each");
MN_APP_PARAM(uint, timeout_ms, 10000, 1, 3600000, "for each request");

#define TEXT_MAX	128

static redisAsyncContext *redis;	/* NULL once it has ended */
static struct mn_future gone;

/* Allocated: the answer may come when nobody waits for it any more. */
struct request {
	struct mn_future done;
	bool left;
	int type;
	long long number;
	char text[TEXT_MAX];
};

static void replied(redisAsyncContext *context, void *data, void *arg)
{
	const redisReply *reply = data;
	struct request *request = arg;

	if (request->left) {
		free(request);
		return;
	}
	request->type = reply ? reply->type : REDIS_REPLY_ERROR;
	request->number = reply ? reply->integer : 0;
	snprintf(request->text, sizeof(request->text), "%s",
		 reply && reply->str ? reply->str : context->errstr);
	mn_future_resolve(&request->done, 0);
}

/* Ask, and wait: the type of the reply, or -errno. */
static int ask(struct request *answer, const char *format, ...)
{
	struct request *request = redis ? calloc(1, sizeof(*request)) : NULL;
	va_list args;
	int64_t res;

	if (!request)
		return redis ? -ENOMEM : -ECONNRESET;
	mn_future_init(&request->done);
	va_start(args, format);
	res = redisvAsyncCommand(redis, replied, request, format, args);
	va_end(args);
	if (res != REDIS_OK) {
		mn_future_drop(&request->done);
		free(request);
		return -ECONNRESET;
	}
	res = mn_await_timeout(&request->done, param_timeout_ms * MN_MSEC);
	if (res < 0) {	/* replied() will free it */
		mn_future_drop(&request->done);
		request->left = true;
		return (int)res;
	}
	*answer = *request;
	free(request);
	if (answer->type == REDIS_REPLY_ERROR)
		mn_err("redis: %s", answer->text);
	return answer->type;
}

static int client(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg;
	struct request r;
	char text[TEXT_MAX];

	for (unsigned int i = 0; i < param_requests; i++) {
		snprintf(text, sizeof(text), "%u times %u", id, i);
		if (ask(&r, "SET mn-redis:%u %s", id, text) != REDIS_REPLY_STATUS)
			return -EIO;
		if (ask(&r, "GET mn-redis:%u", id) != REDIS_REPLY_STRING || strcmp(r.text, text))
			return -EIO;
		if (ask(&r, "INCR mn-redis:n") != REDIS_REPLY_INTEGER)
			return -EIO;
	}
	return ask(&r, "DEL mn-redis:%u", id) == REDIS_REPLY_INTEGER ? 0 : -EIO;
}

static void connected(const redisAsyncContext *context, int status)
{
	if (status == REDIS_OK)
		return;
	mn_err("redis: %s: %s", param_connect, context->errstr);
	redis = NULL;	/* hiredis frees it */
}

static void disconnected(const redisAsyncContext *context, int status)
{
	if (status != REDIS_OK)
		mn_err("redis: %s: %s", param_connect, context->errstr);
	redis = NULL;
}

static int begin(void)
{
	char host[TEXT_MAX];
	char *colon;

	snprintf(host, sizeof(host), "%s", param_connect);
	colon = strrchr(host, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	redis = !strcmp(host, "unix") ? redisAsyncConnectUnix(colon + 1) :
					redisAsyncConnect(host, atoi(colon + 1));
	if (!redis || redis->err) {
		mn_err("redis: %s: %s", param_connect, redis ? redis->errstr : "no memory");
		if (redis)
			redisAsyncFree(redis);
		return -ECONNREFUSED;
	}
	if (redis_attach(redis, &gone)) {
		redisAsyncFree(redis);
		return -ENOMEM;
	}
	redisAsyncSetConnectCallback(redis, connected);
	redisAsyncSetDisconnectCallback(redis, disconnected);
	return 0;
}

static int clients(void)
{
	struct mn_scope scope;
	struct request r;
	int err = 0, first;

	if (ask(&r, "SET mn-redis:n 0") != REDIS_REPLY_STATUS)
		return -EIO;
	mn_scope_open(&scope, &(struct mn_scope_options){ 0 });
	for (unsigned int i = 0; i < param_fibers && !err; i++)
		err = mn_scope_spawn(&scope, client, (void *)(uintptr_t)i);
	first = mn_scope_join(&scope);
	if (err || first)
		return err ? err : first;
	if (ask(&r, "GET mn-redis:n") != REDIS_REPLY_STRING)
		return -EIO;
	printf("%u fibers, counter %s\n", param_fibers, r.text);
	if (atoll(r.text) != (long long)param_fibers * param_requests)
		return -EIO;
	return ask(&r, "DEL mn-redis:n") == REDIS_REPLY_INTEGER ? 0 : -EIO;
}

static int app(void *arg)
{
	int err = mn_args_end(arg, 0);

	if (!err)
		err = begin();
	if (err)
		return err;
	err = clients();
	if (redis)
		redisAsyncDisconnect(redis);
	/* It ends with the last answer, or now. */
	if (mn_await_timeout(&gone, param_timeout_ms * MN_MSEC) < 0 && redis)
		redisAsyncFree(redis);
	while (!mn_future_ready(&gone))
		mn_yield();
	return err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
