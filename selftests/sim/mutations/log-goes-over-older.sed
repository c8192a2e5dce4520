# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# Where units begin anew, the first goes over several old ones at once.
/next_unit(log& l) {/,/^}/{
	/entries_.clear();/d
	s/l.place = 0;/l.place = header_sectors;/
	s/return {0, header_sectors};/return next;/
}
