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
	j.Program, j.OldSnapshot = "Flush, nothing", false
	flushLarge := s.one(j)
	j.Count = sc.small
	flushSmall := s.one(j)
	return family{
		sides: []*side{small, large, flushSmall, flushLarge},
		rows: []row{
			{name: rowGrowth, unit: "µs", floor: reading{large, firstTenth}, ours: reading{large, lastTenth}},
			{name: rowMemory, unit: "MiB", floor: reading{small, memory}, ours: reading{large, memory}},
			{name: rowFlushMemory, unit: "MiB", floor: reading{flushSmall, memory}, ours: reading{flushLarge, memory}},
		},
	}
}

// orders are the families of FlushOrdered with a sender that does nothing, in an order
// other than that of the ids, and of keys.
func (s *stage) orders(sc scale) []family {
	j := job{Program: "FlushOrdered by OrderBy, nothing", Database: dialect.Postgres, Size: 300, Parallel: 1, Burst: sc.burst}
	k := job{Program: "FlushOrdered by OrderKey, nothing", Database: dialect.Postgres, Size: 300, Parallel: 1, Burst: sc.burst}
	of := func(j job, count, keys int) *side {
		j.Count, j.Keys = count, keys
		return s.one(j)
	}
	small, middle, large := of(j, sc.small, 0), of(j, sc.middle, 0), of(j, sc.large, 0)
	few, many := of(k, 9*sc.keys/100, 3*sc.keys/100), of(k, 3*sc.keys, sc.keys)
	const each = "µs"
	return []family{
		{
			sides: []*side{small, middle, large},
			rows: []row{
				{name: rowOrdered, unit: each, floor: reading{large, firstTenth}, ours: reading{large, lastTenth}},
				{name: rowOrderedCost, unit: each, ours: reading{large, microsEach}},
				{name: "FlushOrdered by OrderBy: µs per row, middle backlog against small", unit: each, floor: reading{small, microsEach}, ours: reading{middle, microsEach}},
				{name: "FlushOrdered by OrderBy: µs per row, large backlog against middle", unit: each, floor: reading{middle, microsEach}, ours: reading{large, microsEach}},
			},
		},
		{
			sides: []*side{few, many},
			rows: []row{
				{name: rowKeys, unit: each, ours: reading{few, microsEach}},
				{name: rowKeysStart, unit: "ms", ours: reading{many, startTime}},
				{name: "FlushOrdered by OrderKey: µs per row, many keys against few", unit: each, floor: reading{few, microsEach}, ours: reading{many, microsEach}},
			},
		},
	}
}

// databaseTitle is the name under which people know the database.
func databaseTitle(kind string) string {
	return map[string]string{dialect.Postgres: "PostgreSQL", dialect.MySQL: "MariaDB", dialect.SQLite: "SQLite"}[kind]
}
