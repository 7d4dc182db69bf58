// SPDX-License-Identifier: MIT
/*
 * mn-fetch: gets what is at some URLs, all at once, by libcurl on miniss.
 *
 *	mn-fetch [--timeout_ms=N] [runtime options] URL...
 *
 * A fiber for each. Prints what it was: status, bytes, and a checksum of 32
 * bits (FNV-1a). Exit codes: 0, 1 some could not be fetched, 2 usage.
 */
#include <stdio.h>
#include <string.h>

#include "loop.h"

MN_APP_PARAM(uint, timeout_ms, 30000, 1, 3600000, "for each URL");

static struct curl_loop loop;
static int nr_failed;

struct content {
	uint64_t len;
	uint32_t sum;
};

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct content *content = arg;

	for (size_t i = 0; i < size * n; i++)
		content->sum = (content->sum ^ (uint8_t)data[i]) * 16777619u;
	content->len += size * n;
	return size * n;
}

static int fetch(void *arg)
{
	struct content content = { .sum = 2166136261u };
	CURL *easy = curl_easy_init();
	CURLcode code = CURLE_OK;
	long status = 0;
	int err;

	if (!easy)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_URL, arg);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);	/* signals are the runtime's */
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &content);
	err = curl_loop_perform(&loop, easy, param_timeout_ms * MN_MSEC, &code);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(easy);
	if (err)
		mn_err("%s: %s", (char *)arg, code ? curl_easy_strerror(code) : strerror(-err));
	else
		printf("%ld %llu %08x %s\n", status, (unsigned long long)content.len, content.sum,
		       (char *)arg);
	nr_failed += err || status >= 400;
	return 0;
}

static int app(void *arg)
{
	char **url = arg;
	struct mn_scope scope;
	int err = curl_loop_open(&loop);

	if (err)
		return err;
	mn_scope_open(&scope, &(struct mn_scope_options){ 0 });
	for (; *url && !err; url++)
		err = mn_scope_spawn(&scope, fetch, *url);
	if (!err)
		err = mn_scope_join(&scope);
	else
		mn_scope_join(&scope);
	curl_loop_close(&loop);
	return err ? err : nr_failed ? MN_EXIT_FAILED : 0;
}

/* The options of miniss are taken out of argv by mn_run(): what is left are URLs. */
static int begin(void *arg)
{
	char **argv = arg;
	int n = 0;

	while (argv[n])
		n++;
	if (n < 2 || mn_args_end(argv, n)) {
		fprintf(stderr, "usage: mn-fetch [options] URL...\n");
		return MN_EXIT_USAGE;
	}
	return app(argv + 1);
}

int main(int argc, char **argv)
{
	int code;

	if (curl_global_init(CURL_GLOBAL_ALL))	/* before there are threads */
		return MN_EXIT_FAILED;
	code = mn_run(argc, argv, begin, argv);
	curl_global_cleanup();
	return code;
}
