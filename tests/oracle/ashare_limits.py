"""Price limits and fees of A shares by date, as marina-rules has them: what our own table must say.

    python tests/oracle/ashare_limits.py > backtest/tests/data/ashare_limits.json

Rows of limits: code, special treatment, day, reference price, upper and lower limit, prices in ticks of 0.01 CNY. Days lie
on both sides of each change; reference prices are those whose limits end on half a tick, tiny ones and a sweep.
"""

import json

import marina_rules as rules

BOARDS = [
    ("600000.SH", False, "main_board", "XSHG"), ("600000.SH", True, "st_main", "XSHG"),
    ("000001.SZ", False, "main_board", "XSHE"), ("000001.SZ", True, "st_main", "XSHE"),
    ("300001.SZ", False, "chinext", "XSHE"), ("300001.SZ", True, "st_chinext", "XSHE"),
    ("688001.SH", False, "star", "XSHG"), ("688001.SH", True, "st_star", "XSHG"),
    ("830799.BJ", False, "bse", None),
]
DAYS = ["2015-08-03", "2018-06-01", "2019-07-22", "2020-08-21", "2020-08-24", "2021-11-15", "2023-04-07", "2023-04-10",
        "2026-07-03", "2026-07-06"]
PRICES = [2, 3, 4, 5, 6, 9, 10, 14, 15, 25, 45, 55, 95, 505, 1005, 1015, 2347, 9995, 12345, 170005] + list(range(100, 4000, 163))


def main():
    limits = []
    for code, st, scope, market in BOARDS:
        for day in DAYS:
            for pre in PRICES:
                try:
                    up, down = rules.limit_price(pre / 100, scope, day, market)
                except (KeyError, ValueError):
                    continue  # before the board, or a band below one tick where it does not say what holds
                limits.append([code, st, day, pre, round(up * 100), round(down * 100)])
    fees = [[day, rules.rule_at("stamp_duty_sell", day), rules.rule_at("transfer_fee_each_side", day)]
            for day in ["2015-08-03", "2022-04-28", "2022-04-29", "2023-08-27", "2023-08-28", "2026-07-06"]]
    head = json.dumps({"version": rules.VERSION})[1:-1]
    text = ",\n".join(json.dumps(row) for row in limits)
    print(f'{{{head}, "fees": {json.dumps(fees)}, "limits": [\n{text}\n]}}')


main()
