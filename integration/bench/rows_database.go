package main

import "entgo.io/ent/dialect"

// drains are the families of the flushes with a sender that does nothing: what
// the library adds to reading and deleting the rows.
func (s *stage) drains(sc scale) (all []family) {
	for _, db := range []string{dialect.SQLite, dialect.Postgres, dialect.MySQL} {
		name := rowSQLite
		if db != dialect.SQLite {
			name = "FlushMany, burst 1000, sender that does nothing: " + databaseTitle(db)
		}
		raw := job{Program: "raw drain", Database: db, Count: sc.drained, Size: 300, Parallel: 1, Burst: sc.burst}
		ours := raw
		ours.Program = "FlushMany, nothing"
		all = append(all, alone(name, "rows/s", s.one(raw), s.one(ours)))
	}
	return all
}

// growth is the family of what must not grow with the backlog: the cost of a
// row and the memory. Another session holds an old snapshot meanwhile, so that
// PostgreSQL keeps each deleted row.
func (s *stage) growth(sc scale) family {
	j := job{Program: "FlushMany, nothing", Database: dialect.Postgres, Count: sc.small, Size: 300, Parallel: 1, Burst: sc.burst, OldSnapshot: true}
	small := s.one(j)
	j.Count = sc.large
	large := s.one(j)
	return family{
		sides: []*side{small, large},
		rows: []row{
			{name: rowGrowth, unit: "µs", floor: reading{large, firstTenth}, ours: reading{large, lastTenth}},
			{name: rowMemory, unit: "MiB", floor: reading{small, memory}, ours: reading{large, memory}},
		},
	}
}

// databaseTitle is the name under which people know the database.
func databaseTitle(kind string) string {
	return map[string]string{dialect.Postgres: "PostgreSQL", dialect.MySQL: "MariaDB", dialect.SQLite: "SQLite"}[kind]
}
