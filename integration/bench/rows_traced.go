package main

import "entgo.io/ent/dialect"

// traces are the families of what telemetry costs: mixin.Trace beside signals without
// it, and otelsignal beside the same signals without it.
func (s *stage) traces(sc scale) []family {
	commits := job{Program: "autoflush", Database: dialect.Postgres, Count: sc.traced, Size: 300, Parallel: 32}
	backlog := job{Program: "FlushMany", Database: dialect.Postgres, Count: sc.messages, Size: 300, Parallel: 1, Burst: sc.burst}
	return []family{
		s.traced(commits, "transactions/s", "autoflush, 32 writers, mixin.Trace beside none", rowTracedAutoflush),
		s.traced(backlog, messages, "FlushMany, burst 1000, mixin.Trace beside none", rowTracedFlush),
	}
}

// traced is the family of a program without a trace, with it, and with otelsignal.
func (s *stage) traced(j job, unit, mixin, observed string) family {
	plain := s.one(j)
	j.Program += ", traced"
	traced := s.one(j)
	j.Observed = true
	ours := s.one(j)
	return family{
		sides: []*side{plain, traced, ours},
		rows:  []row{speed(mixin, unit, plain, traced), speed(observed, unit, traced, ours)},
	}
}
