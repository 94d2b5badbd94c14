package main

import "entgo.io/ent/dialect"

// inboxes are the families of a consumer that drops repeats, beside one that has no
// inbox and does its work for each delivery: a transaction of two statements.
func (s *stage) inboxes(sc scale) (all []family) {
	const copies = 3
	for _, kind := range []string{dialect.Postgres, dialect.MySQL} {
		on := ""
		if kind != dialect.Postgres {
			on = ": " + databaseTitle(kind)
		}
		j := job{Program: "plain commit", Database: kind, Count: max(sc.commits/copies, 1) * copies, Size: 300, Parallel: 8}
		plain := s.one(j)
		j.Program = "ent commit"
		byEnt := s.one(j)
		j.Program, j.Copies = "Once", copies
		thrice := s.one(j)
		j.Copies = 1
		single := s.one(j)
		all = append(all, family{sides: []*side{plain, byEnt, thrice, single}, rows: []row{
			speed(rowOnce+on, "deliveries/s", plain, thrice),
			speed("inbox, 8 consumers, each message once"+on, "deliveries/s", plain, single),
			speed("inbox, 8 consumers, each message once, beside a commit of ent"+on, "deliveries/s", byEnt, single),
		}})
	}
	return all
}
