/*
 * A vif's frontend that does as a test tells it, over qtest: the guest's memory is
 * mapped, so grants, ring pages and packets are written as a guest writes them; event
 * channels and XenStore go through the protocol. It follows no rule by itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_FRONTEND_H
#define TESTS_LIB_VIF_FRONTEND_H

#include "hw/xen/netif.h"
#include "hw/xen/ring.h"
#include "qtest.h"

#define FRONT_MAX_QUEUES 64
#define FRONT_RING       256
#define FRONT_FRAME_MAX  (20 * 4096)

typedef struct Front Front;

typedef struct FrontPage {
    uint8_t *data;
    uint32_t frame;
    uint32_t ref;   /* dom0 may use it */
} FrontPage;

typedef struct FrontQueue {
    Front *f;
    unsigned index;
    FrontPage tx_page;         /* the rings */
    FrontPage rx_page;
    XenRing tx;
    XenRing rx;
    int tx_port;
    int rx_port;               /* the same as tx_port: a single event channel */
    FrontPage tx_buf[FRONT_RING]; /* of the request in the slot with that number */
    FrontPage rx_buf[FRONT_RING];
    uint16_t rx_id[FRONT_RING];   /* as requested, by slot */
    uint16_t next_id;
} FrontQueue;

struct Front {
    QTest *qt;
    unsigned domid;
    unsigned idx;
    uint8_t *ram;
    size_t ram_size;
    char *fe;                  /* directories in XenStore */
    char *be;
    uint32_t next_frame;
    uint32_t next_ref;
    GArray *free_pages;        /* FrontPage */
    unsigned n_queues;         /* that have rings and ports */
    FrontQueue *queue[FRONT_MAX_QUEUES];
};

typedef enum FrontPorts {
    FRONT_SPLIT,
    FRONT_SINGLE,
    FRONT_MIXED,               /* queues with even numbers split, the others not */
} FrontPorts;

/* All zero: one queue, everything on. */
typedef struct FrontConfig {
    unsigned queues;           /* 0 as 1 */
    FrontPorts ports;
    bool no_sg;
    bool no_gso;
    bool no_csum;              /* IPv4 */
    bool no_ipv6_csum;
    bool no_rx_notify;
} FrontConfig;

/* Maps the memory of the guest that is there now. */
Front *front_new(QTest *qt, unsigned idx);
void front_free(Front *f);

/* --- memory --- */

FrontPage front_page_new(Front *f);        /* zeroed, granted to dom0, writable */
void front_page_free(Front *f, FrontPage p); /* the grant ends; it must not be in use */
void front_grant(Front *f, uint32_t ref, uint32_t frame, uint16_t domid, uint16_t flags);
bool front_grant_busy(Front *f, uint32_t ref); /* mapped, or being copied */

/* --- XenStore --- */

void front_write(Front *f, const char *key, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
void front_remove(Front *f, const char *key);    /* may be absent */
char *front_read_back(Front *f, const char *key);  /* NULL: absent. Free it. */
unsigned front_back_state(Front *f);
void front_set_state(Front *f, unsigned state);
void front_wait_back(Front *f, unsigned state);
/* The backend's error node, NULL: absent. Free it. */
char *front_read_error(Front *f);

/* --- connection --- */

/* Rings and ports for each queue; what was there goes. */
void front_make_queues(Front *f, const FrontConfig *c);
void front_free_queues(Front *f);
/* Removes keys of an earlier connection and writes these. Not the state. */
void front_write_keys(Front *f, const FrontConfig *c);
/* All of this, and state Connected, and the backend's. */
void front_connect(Front *f, const FrontConfig *c);
/* Closing, Closed, Initialising, each answered; then rings and ports go. */
void front_disconnect(Front *f);

/* --- tx --- */

/* The buffer of the next request. */
FrontPage *front_tx_next(FrontQueue *q);
void front_tx_put(FrontQueue *q, const netif_tx_request_t *req);
void front_tx_put_extra(FrontQueue *q, const struct netif_extra_info *extra);
/* Publishes, and notifies if the backend asked. True: it did. */
bool front_tx_push(FrontQueue *q);
void front_notify_tx(FrontQueue *q);
void front_notify_rx(FrontQueue *q);

/*
 * Puts a frame as slots of @size[0..n - 1] bytes (n 0: as few as possible), the first with
 * @flags, and a GSO extra if @mss. Returns ring slots used. Ids count up from next_id.
 */
unsigned front_tx_frame(FrontQueue *q, const uint8_t *frame, size_t len, const uint16_t *size,
                        unsigned n, uint16_t flags, uint16_t mss);
/* Waits for exactly @n responses and checks that there are not more. */
void front_tx_responses(FrontQueue *q, netif_tx_response_t *rsp, unsigned n);
/* The same, each must have @status (or NULL for extras) and the ids follow each other. */
void front_tx_expect(FrontQueue *q, unsigned n, int16_t status);

/* --- rx --- */

/* Puts @n requests, each with a buffer of its own, and pushes. */
void front_rx_post(FrontQueue *q, unsigned n);
void front_rx_put(FrontQueue *q, uint16_t id, uint32_t ref);
bool front_rx_push(FrontQueue *q);

typedef struct FrontFrame {
    size_t len;
    unsigned slots;    /* extras included */
    uint16_t flags;    /* of the first slot */
    int status;        /* 0, or that of the first slot that failed */
    uint8_t gso_type;  /* 0: no extra */
    uint16_t gso_size;
    unsigned headroom; /* in front of the data of the first slot */
    uint8_t data[FRONT_FRAME_MAX];
} FrontFrame;

/* The next packet, its grammar checked. False: none within @timeout_ms. */
bool front_rx_recv(FrontQueue *q, FrontFrame *ret, int timeout_ms);
/* Responses that wait. */
unsigned front_rx_waiting(FrontQueue *q);

/* An event came since the last call. */
bool front_tx_event(FrontQueue *q);
bool front_rx_event(FrontQueue *q);

#endif
