package main

import (
	"fmt"

	"entgo.io/ent/dialect"
)

// relays are the families of the relay: how long a signal waits for it, polling and
// woken, and what the wake-up costs the commits.
func (s *stage) relays(sc scale) (all []family) {
	for _, rate := range []int{100, 500} {
		j := job{Program: "relay", Database: dialect.Postgres, Count: sc.relayed, Size: 300, Parallel: 1, Burst: 100, Rate: rate}
		polling := s.one(j)
		j.Woken = true
		woken := s.one(j)
		beside := func(name string, value func(Figure) float64) row {
			return row{name: fmt.Sprintf("relay, commit to confirm, woken beside polling, %d/s, %s", rate, name), unit: "ms", floor: reading{polling, value}, ours: reading{woken, value}}
		}
		all = append(all, family{sides: []*side{polling, woken}, rows: []row{beside("p50", p50), beside("p99", p99)}})
	}
	j := job{Program: "commit that leaves it", Database: dialect.Postgres, Count: sc.commits, Size: 300, Parallel: 32}
	quiet := s.one(j)
	j.Woken = true
	return append(all, alone(rowNotify, "transactions/s", quiet, s.one(j)))
}
