/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xenbus-state.h"

const char *xenbus_state_name(enum xenbus_state state)
{
    static const char *const names[] = {
        [XenbusStateUnknown] = "unknown",
        [XenbusStateInitialising] = "initialising",
        [XenbusStateInitWait] = "init-wait",
        [XenbusStateInitialised] = "initialised",
        [XenbusStateConnected] = "connected",
        [XenbusStateClosing] = "closing",
        [XenbusStateClosed] = "closed",
        [XenbusStateReconfiguring] = "reconfiguring",
        [XenbusStateReconfigured] = "reconfigured",
    };

    return state <= XenbusStateReconfigured ? names[state] : names[XenbusStateUnknown];
}
