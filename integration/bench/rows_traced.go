package main

import "entgo.io/ent/dialect"

// traces are the families of what telemetry costs: mixin.Trace beside signals without
// it, and otelsignal beside the same signals without it.
func (s *stage) traces(sc scale) []family {
	return []family{
		s.tracedCommits(sc),
		s.tracedBacklog(sc),
	}
}

// tracedCommits is about commits that send. One row has otelsignal beside a program that
// makes the same span for each commit and stores its context itself: what is left is
// otelsignal alone.
func (s *stage) tracedCommits(sc scale) family {
	const unit = "transactions/s"
	j := job{Program: "autoflush", Database: dialect.Postgres, Count: sc.traced, Size: 300, Parallel: 32}
	plain := s.one(j)
	j.Program = "autoflush, traced"
	traced := s.one(j)
	j.ByHand = true
	byHand := s.one(j)
	j.ByHand, j.Observed = false, true
	ours := s.one(j)
	return family{
		sides: []*side{plain, traced, byHand, ours},
		rows: []row{
			speed("autoflush, 32 writers, mixin.Trace without a trace, beside none", unit, plain, traced),
			speed(rowTracedAutoflush, unit, traced, ours),
			speed("autoflush of traced signals, 32 writers, otelsignal beside the same traces by hand", unit, byHand, ours),
			speed("autoflush, 32 writers, mixin.Trace and otelsignal beside neither", unit, plain, ours),
		},
	}
}

// tracedBacklog is about rows that all have a trace already. What the header costs the
// broker, whoever sends it, is a row of its own.
func (s *stage) tracedBacklog(sc scale) family {
	j := job{Program: "FlushMany", Database: dialect.Postgres, Count: sc.messages, Size: 300, Parallel: 1, Burst: sc.burst}
	plain := s.one(j)
	j.Program = "FlushMany, traced"
	traced := s.one(j)
	j.Observed = true
	ours := s.one(j)
	j.Observed = false
	broker := s.rawBroker(sc, j)
	j.ByHand = true
	header := s.rawBroker(sc, j)
	return family{
		sides: []*side{broker, header, plain, traced, ours},
		rows: []row{
			speed("raw broker, a trace context in the header beside none", messages, broker, header),
			speed("FlushMany of traced signals, burst 1000, beside the raw broker with that header", messages, header, traced),
			speed("FlushMany, burst 1000, traced signals beside signals without mixin.Trace", messages, plain, traced),
			speed(rowTracedFlush, messages, traced, ours),
			speed("FlushMany, burst 1000, mixin.Trace and otelsignal beside neither", messages, plain, ours),
		},
	}
}
