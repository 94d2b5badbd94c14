package main

import "entgo.io/ent/dialect"

// idle are the families of the passes over empty tables.
func (s *stage) idle(sc scale) (all []family) {
	for _, r := range []struct {
		name, program string
		types         int
	}{
		{rowIdleMany, "FlushMany of nothing", 1},
		{rowIdleOrdered, "FlushOrdered of nothing", 1},
		{rowIdleMany50, "FlushMany of nothing", 50},
		{rowIdleOrdered50, "FlushOrdered of nothing", 50},
	} {
		pass := s.one(job{Program: r.program, Database: dialect.Postgres, Count: sc.passes, Parallel: r.types})
		all = append(all, family{sides: []*side{pass}, rows: []row{{name: r.name, unit: "ms", ours: reading{pass, millisEach}}}})
	}
	return all
}
