/* SPDX-License-Identifier: MIT */
/*
 * What liburing 2.3 does not know by name. Private names: where a newer
 * header has them as enumerators, they cannot be tested for.
 */
#ifndef BACKENDS_IO_URING_COMPAT_H
#define BACKENDS_IO_URING_COMPAT_H

#define URING_ENTER_NO_IOWAIT		(1U << 7)	/* 6.15 */
#define URING_FEAT_NO_IOWAIT		(1U << 17)

#define URING_PBUF_RING_INC		2U		/* 6.12; liburing 2.3 calls the field pad */
#define URING_CQE_F_BUF_MORE		(1U << 4)

#define URING_SEND_ZC_REPORT_USAGE	(1U << 3)	/* 6.2 */
#define URING_NOTIF_ZC_COPIED		(1U << 31)

#endif
