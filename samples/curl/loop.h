/* SPDX-License-Identifier: MIT */
/*
 * libcurl on a shard of miniss: its sockets get watches, its time-out a timer.
 * Copy this into a program of your own. All functions are for the shard that
 * opened the loop.
 */
#ifndef SAMPLES_CURL_LOOP_H
#define SAMPLES_CURL_LOOP_H

#include <curl/curl.h>
#include <miniss/miniss.h>

struct curl_loop {
	CURLM *multi;
	struct mn_timer timer;
	unsigned int nr_socks;	/* of which libcurl or the backend still knows */
};

/* curl_loop_open - 0 or -ENOMEM; curl_global_init() was called by main() */
int curl_loop_open(struct curl_loop *loop);

/* curl_loop_close - from a fiber, which suspends; no transfer is under way */
void curl_loop_close(struct curl_loop *loop);

/*
 * curl_loop_perform - a transfer, from a fiber, which suspends until it is over
 * @easy: with its options set; still the caller's afterwards. It has
 *	CURLOPT_PRIVATE for itself meanwhile
 * @timeout_ns: from now, or MN_NEVER
 * Return: 0; -ETIMEDOUT, -ECANCELED; else @code says how it failed, and -EIO.
 */
int curl_loop_perform(struct curl_loop *loop, CURL *easy, int64_t timeout_ns, CURLcode *code);

#endif
