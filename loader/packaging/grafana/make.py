#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes ringraid.json, the dashboard, to standard output: make.py >ringraid.json."""
import json

ONE = '{array=~"$array",instance=~"$instance"}'
RATE = "[$__rate_interval]"
SOURCE = {"type": "prometheus", "uid": "${source}"}


# How a kind of panel asks: for what is so now, not for all that was so in the time that is
# shown; and for buckets as rows, each of which has what is not in the one below.
WAYS = {"stat": {"instant": True}, "heatmap": {"format": "heatmap"}}
HEATMAP = {"calculate": False, "yAxis": {"unit": "s"}, "cellGap": 1,
           "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5},
           "tooltip": {"mode": "single", "yHistogram": True}}


def target(expr, legend):
    return {"expr": expr, "legendFormat": legend, "datasource": SOURCE}


def rate(metric, by=ONE):
    return f"rate({metric}{by}{RATE})"


TIMES = "ringraid_request_duration_seconds_bucket"


def times(which):
    """The selector of ONE, with more in it."""
    return ONE[:-1] + (f',op="{which}"' if which else "") + "}"


def quantile(part, which, by):
    return f"histogram_quantile({part}, sum by ({by}, le) (rate({TIMES}{times(which)}{RATE})))"


def quantiles(which):
    return [(quantile(part, which, "array"), "{{array}} " + name)
            for part, name in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))]


def buckets(which):
    """Requests a second by bucket, of all arrays that are chosen."""
    return f"sum by (le) (rate({TIMES}{times(which)}{RATE}))", "{{le}}"


# title, kind, unit, what is shown: (expression, legend)
PANELS = [
    ("State", "stat", "none", [(f"ringraid_state{ONE} == 1", "{{array}} {{state}}")]),
    ("Degraded", "stat", "bool_yes_no", [(f"ringraid_degraded{ONE}", "{{array}}")]),
    ("Daemon answers", "stat", "bool_yes_no", [(f"ringraid_up{ONE}", "{{array}}")]),
    ("Mismatched sectors", "stat", "none", [(f"ringraid_mismatch_sectors{ONE}", "{{array}}")]),
    ("Requests", "timeseries", "reqps",
     [(rate("ringraid_device_requests_total"), "{{array}} {{op}}"),
      (rate("ringraid_flushes_total"), "{{array}} flush")]),
    ("Bandwidth", "timeseries", "Bps",
     [(rate("ringraid_device_bytes_total"), "{{array}} {{op}}")]),
    ("Mean latency", "timeseries", "s",
     [(rate("ringraid_device_seconds_total") + " / " + rate("ringraid_device_requests_total"),
       "{{array}} {{op}}")]),
    ("Latency of reads (latency=on)", "timeseries", "s", quantiles("read")),
    ("Latency of writes (latency=on)", "timeseries", "s", quantiles("write")),
    ("How long reads take (latency=on)", "heatmap", "s", [buckets("read")]),
    ("How long writes take (latency=on)", "heatmap", "s", [buckets("write")]),
    ("Latency by what was done, p99 (latency=on)", "timeseries", "s",
     [(quantile(0.99, "", "array, op, path"), "{{array}} {{op}} {{path}}")]),
    ("Requests in flight", "timeseries", "none",
     [(f"ringraid_requests_in_flight{ONE}", "{{array}}")]),
    ("Job", "timeseries", "percent", [(f"ringraid_job_percent{ONE}", "{{array}} {{job}}")]),
    ("Speed of the job", "timeseries", "Bps",
     [(f"ringraid_job_speed_bytes{ONE}", "{{array}} {{job}}")]),
    ("Ways of writes", "timeseries", "cps",
     [(rate(f"ringraid_{way}_cells_total"), "{{array}} " + way)
      for way in ("full", "rcw", "rmw", "recon", "kept")]),
    ("Cells found in memory, of those that want a read", "timeseries", "percentunit",
     [(rate("ringraid_kept_cells_total") + " / (" + rate("ringraid_rcw_cells_total") + " + " +
       rate("ringraid_rmw_cells_total") + ")", "{{array}}")]),
    ("Waits", "timeseries", "cps",
     [(rate(f"ringraid_{what}_total"), "{{array}} " + what)
      for what in ("lock_waits", "slot_waits", "region_waits", "held_acks")]),
    ("Errors of members", "timeseries", "cps",
     [(rate(f"ringraid_{what}_total"), "{{array}} " + what)
      for what in ("read_errors", "write_errors", "repaired", "rebuilt_reads")]),
    ("Worker threads (should be 0)", "timeseries", "cps",
     [(rate("ringraid_punts_total"), "{{array}}")]),
    ("Disks", "timeseries", "none",
     [(f"ringraid_disks{ONE}", "{{array}} {{state}}"),
      (f"ringraid_disks_required{ONE}", "{{array}} required")]),
    ("Requests to members", "timeseries", "reqps",
     [(rate("ringraid_member_requests_total"), "{{member}} {{op}}")]),
    ("Mean latency of members", "timeseries", "s",
     [(rate("ringraid_member_seconds_total") + " / " + rate("ringraid_member_requests_total"),
       "{{member}} {{op}}")]),
    ("Bitmap chunks set", "timeseries", "none", [(f"ringraid_bitmap_chunks_set{ONE}", "{{array}}")]),
]


def panel(number, title, kind, unit, shown):
    small = kind == "stat"
    row = 0 if small else 4 + (number - 4) // 2 * 8
    return {
        "id": number + 1, "title": title, "type": kind, "datasource": SOURCE,
        "gridPos": {"h": 4 if small else 8, "w": 6 if small else 12,
                    "x": number % 4 * 6 if small else (number - 4) % 2 * 12, "y": row},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": HEATMAP if kind == "heatmap" else {},
        "targets": [dict(target(*one), refId=chr(ord("A") + i), **WAYS.get(kind, {}))
                    for i, one in enumerate(shown)],
    }


def variable(name, label):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE,
            "query": {"query": f"label_values(ringraid_up, {name})", "refId": name},
            "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"}}


print(json.dumps({
    "title": "ringraid", "uid": "ringraid", "tags": ["ringraid", "raid"], "schemaVersion": 39,
    "version": 1, "editable": True, "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
    "timezone": "browser",
    "templating": {"list": [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        variable("instance", "Machine"), variable("array", "Array")]},
    "annotations": {"list": []},
    "panels": [panel(i, *one) for i, one in enumerate(PANELS)],
}, indent=2))
