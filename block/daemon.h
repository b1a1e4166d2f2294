/*
 * A qemu-storage-daemon of ours: it has an image of a format or a protocol that we do not know, and
 * exports it over NBD to us alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_DAEMON_H
#define BLOCK_DAEMON_H

#include "block/block.h"

#define IMAGE_DAEMON_EXPORT "image" /* name of the export */

typedef struct ImageDaemon ImageDaemon;

/*
 * Starts one for the image of @config; @read_only: whatever that says. It may still find that it
 * can't open it: see image_daemon_words(). Main thread, as all of these.
 */
ImageDaemon *image_daemon_new(const BlockConfig *config, bool read_only, GError **error);
ImageDaemon *image_daemon_ref(ImageDaemon *d);
/* With the last one it is ended, for which it has a bounded time. NULL is fine. */
void image_daemon_unref(ImageDaemon *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageDaemon, image_daemon_unref)

/* A path by which this process, and no other one, connects to it as long as there is @d. */
const char *image_daemon_socket(const ImageDaemon *d);
/* It is up: from now on what it says is for the log, as is its end. */
void image_daemon_watch(ImageDaemon *d);
/*
 * The image becomes @bytes long. Nobody is connected to it meanwhile, nor was when it began. False:
 * its own words, and the image is as long as it was.
 */
bool image_daemon_resize(ImageDaemon *d, uint64_t bytes, GError **error);
/*
 * It is not up: why, in its own words, for which its end is waited for a bounded time. NULL: it
 * said nothing.
 */
char *image_daemon_words(ImageDaemon *d);

#endif
