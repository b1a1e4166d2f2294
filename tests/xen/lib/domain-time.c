/*
 * domain-time: the processor time of each domain, a line "ID NANOSECONDS"; xl rounds it to a
 * tenth of a second.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <xenctrl.h>

#define MAX_DOMAINS 64

int main(void)
{
    static xc_domaininfo_t domains[MAX_DOMAINS];
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    int n = xc ? xc_domain_getinfolist(xc, 0, MAX_DOMAINS, domains) : -1;

    if (n < 0) {
        perror("domain-time");
        return 1;
    }
    for (int i = 0; i < n; i++) {
        printf("%u %" PRIu64 "\n", domains[i].domain, (uint64_t)domains[i].cpu_time);
    }
    xc_interface_close(xc);
    return 0;
}
