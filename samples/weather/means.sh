#!/bin/sh
# Means per month of one station in one year: partition i takes the i-th file of data/. Runs on sh and any awk.
set -eu

file=$(ls "$BACALHAU_INPUTS"/data/*.csv | sed -n "$((BACALHAU_PARTITION_INDEX + 1))p")
if [ -z "$file" ]; then
    echo "there is no file for partition $BACALHAU_PARTITION_INDEX" >&2
    exit 1
fi
name=$(basename "$file" .csv)

awk -F, -v station="${name%-*}" -v year="${name##*-}" '
    NR == 1 { print "station,year,month,days,mean_high,mean_low,rain_mm"; next }
    {
        month = substr($1, 6, 2) + 0
        days[month]++; rain[month] += $2; high[month] += $3; low[month] += $4
    }
    END {
        for (month = 1; month <= 12; month++)
            printf "%s,%s,%d,%d,%.2f,%.2f,%.1f\n", station, year, month, days[month],
                high[month] / days[month], low[month] / days[month], rain[month]
    }
' "$file" >"$BACALHAU_OUTPUTS/$name.csv"
echo "$name: $(($(wc -l <"$file") - 1)) days"
