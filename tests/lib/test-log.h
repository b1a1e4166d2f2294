/*
 * What the program says, in a file that a test looks into.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_TEST_LOG_H
#define TESTS_LIB_TEST_LOG_H

#include <glib.h>

/* All that is said goes to a file from now on, whose name is returned; free it. */
char *test_log_open(void);
/* How often @what is in it. */
unsigned test_log_count(const char *log, const char *what);
/* The file's name is gone; what is said goes there still. */
void test_log_close(const char *log);

#endif
