// SPDX-License-Identifier: MIT
/*
 * c-ares, one channel a shard. It opens sockets of its own and says what it
 * waits for: each gets a watch, and its next time-out a timer. All of its
 * functions are called from tasks, but for the end; what it does when it is
 * called never suspends.
 */
#include <ares.h>
#include <string.h>
#include <sys/time.h>

#include <miniss/log.h>
#include <miniss/poll.h>
#include <miniss/timer.h>

#include "core/shard.h"
#include "lib/dns/dns.h"
#include "lib/mem/mem.h"

#define CLOCKS_DIFFER_NS	MN_MSEC	/* its clock and ours: not a little too soon */

struct dns_channel {
	ares_channel ares;
	struct mn_timer timer;
	struct list sockets;
};

struct dns_socket {
	struct mn_watch watch;
	struct mn_task gone;
	struct list entry;
	struct dns_channel *channel;
	int fd;
	bool leaving;	/* its number may be another's by now */
};

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
		return -ENOENT;
	case ARES_EBADNAME:
	case ARES_EBADQUERY:
	case ARES_EBADSTR:
		return -EINVAL;
	case ARES_ETIMEOUT:
		return -EHOSTUNREACH;
	case ARES_ECONNREFUSED: /* of a server that fails, older ones say this, too */
	case ARES_ESERVFAIL:
	case ARES_ENOTIMP:
	case ARES_EREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ESHUTDOWN;
	default:
		return -EIO;
	}
}

/* ---- sockets and time ---- */

static void timer_follow(struct dns_channel *channel)
{
	struct timeval tv;

	if (ares_timeout(channel->ares, NULL, &tv))
		mn_timer_arm(&channel->timer,
			     mn_now() + tv.tv_sec * MN_SEC + tv.tv_usec * MN_USEC +
				     CLOCKS_DIFFER_NS,
			     MN_SLACK_FINE);
	else
		mn_timer_cancel(&channel->timer);
}

static void timed_out(struct mn_task *task)
{
	struct dns_channel *channel = container_of(mn_timer_of(task), struct dns_channel, timer);

	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_follow(channel);
}

/* What cannot be watched, it is to find out by itself. */
static void socket_ready(struct mn_watch *watch, int ready)
{
	struct dns_socket *sock = container_of(watch, struct dns_socket, watch);
	struct dns_channel *channel = sock->channel;
	bool failed = ready < 0 || ready & (POLLERR | POLLHUP);

	ares_process_fd(channel->ares, failed || ready & POLLIN ? sock->fd : ARES_SOCKET_BAD,
			failed || ready & POLLOUT ? sock->fd : ARES_SOCKET_BAD);
	timer_follow(channel);
}

static void socket_gone(struct mn_task *task)
{
	struct dns_socket *sock = container_of(task, struct dns_socket, gone);

	list_del(&sock->entry);
	mem_free(sock);
}

static struct dns_socket *socket_find(struct dns_channel *channel, int fd)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &channel->sockets) {
		struct dns_socket *sock = container_of(pos, struct dns_socket, entry);

		if (sock->fd == fd && !sock->leaving)
			return sock;
	}
	return NULL;
}

/* Without memory for it nobody listens: the query times out. */
static struct dns_socket *socket_new(struct dns_channel *channel, int fd)
{
	struct dns_socket *sock = mem_alloc(sizeof(*sock));

	if (!sock)
		return NULL;
	sock->channel = channel;
	sock->fd = fd;
	mn_watch_init(&sock->watch, fd, socket_ready);
	list_add_tail(&channel->sockets, &sock->entry);
	return sock;
}

/* It calls this for each change, and with no interest before it closes one. */
static void socket_changed(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *channel = data;
	struct dns_socket *sock = socket_find(channel, fd);

	if (!readable && !writable) {
		if (!sock)
			return;
		sock->leaving = true;
		mn_watch_remove_start(&sock->watch);
		mn_future_then(&sock->watch.removed, &sock->gone, socket_gone);
		return;
	}
	if (!sock)
		sock = socket_new(channel, fd);
	if (sock)
		mn_watch_set(&sock->watch, (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u));
}

/* ---- queries ---- */

static uint32_t ttl_min(uint32_t ttl_s, int of)
{
	return min(ttl_s, (uint32_t)max(of, 0));
}

static void answer_take(struct dns_answer *answer, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_cname *cname = info->cnames;

	answer->ttl_s = UINT32_MAX;
	for (; cname; cname = cname->next)
		answer->ttl_s = ttl_min(answer->ttl_s, cname->ttl);
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
		struct dns_ip *ip = &answer->ip[answer->nr];

		answer->ttl_s = ttl_min(answer->ttl_s, node->ai_ttl);
		if (answer->nr == DNS_ADDRS_MAX)
			continue;
		if (node->ai_family == AF_INET6)
			ip->in6 = ((const struct sockaddr_in6 *)(const void *)node->ai_addr)
					  ->sin6_addr;
		else if (node->ai_family == AF_INET)
			ip->in4 =
				((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr;
		else
			continue;
		ip->v6 = node->ai_family == AF_INET6;
		answer->nr++;
	}
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct dns_answer answer = { .err = error_of(status) };

	if (!answer.err && info)
		answer_take(&answer, info);
	if (info)
		ares_freeaddrinfo(info);
	if (!answer.err && !answer.nr)
		answer.err = -ENOENT;
	query_done(arg, &answer);
}

void dns_channel_ask(struct dns_channel *channel, struct dns_query *query)
{
	/* One of each address, not one of each kind of socket as well. */
	static const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_ENVHOSTS,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	ares_getaddrinfo(channel->ares, query->name, NULL, &hints, answered, query);
	timer_follow(channel);
}

/* ---- the channel ---- */

static int servers_set(struct dns_channel *channel, const char *servers)
{
	int status = servers ? ares_set_servers_ports_csv(channel->ares, servers) : ARES_SUCCESS;

	if (status == ARES_SUCCESS)
		return 0;
	mn_err("dns: %s: %s", servers, ares_strerror(status));
	return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

int dns_channel_open(struct dns_channel **result, const struct dns_conf *conf)
{
	struct dns_channel *channel = mem_alloc(sizeof(*channel));
	struct ares_options options = {
		.timeout = (int)conf->timeout_ms,
		.tries = (int)conf->tries,
		.sock_state_cb = socket_changed,
		.sock_state_cb_data = channel,
	};
	int status, err;

	if (!channel)
		return -ENOMEM;
	list_init(&channel->sockets);
	mn_timer_init(&channel->timer, timed_out);
	status = ares_init_options(&channel->ares, &options,
				   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		mn_err("dns: cannot begin: %s", ares_strerror(status));
		mem_free(channel);
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	err = servers_set(channel, conf->servers);
	if (err) {
		ares_destroy(channel->ares);
		mem_free(channel);
		return err;
	}
	*result = channel;
	return 0;
}

void dns_channel_close(struct dns_channel *channel)
{
	ares_destroy(channel->ares);
	mn_timer_cancel(&channel->timer);
	while (!list_empty(&channel->sockets))
		mn_yield();
	mem_free(channel);
}
