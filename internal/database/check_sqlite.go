package database

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Check implements [Dialect].
func (s *sqlite) Check(ctx context.Context, drv dialect.Driver, t Table, _ time.Duration) ([]Misfit, error) {
	return s.fit(t,
		func() (serverTraits, []Misfit, error) { return askSQLite(ctx, drv) },
		func() (bool, []Misfit, error) { return true, nil, nil },
	)
}

// askSQLite reads the settings of a connection. Without WAL, with four writers that
// read first, 34 to 48 of 100 transactions failed when measured. With WAL and
// _txlock=immediate, which no statement can see, none did.
func askSQLite(ctx context.Context, drv dialect.Driver) (_ serverTraits, misfits []Misfit, err error) {
	const text = `SELECT (SELECT journal_mode FROM pragma_journal_mode), (SELECT timeout FROM pragma_busy_timeout)`
	err = query(ctx, drv, text, nil, func(rows *sql.Rows) error {
		var (
			journal string
			busy    int64
		)
		if err := rows.Scan(&journal, &busy); err != nil {
			return err
		}
		if journal == "off" {
			return unfit("journal_mode=OFF has no rollback, so a transaction that fails leaves its signals behind; set journal_mode(WAL)")
		}
		if journal != "wal" && journal != "memory" { // with "memory" the database is in memory too
			misfits = append(misfits, Misfit{"journal_mode", journal, "readers and writers of the database block each other; set journal_mode(WAL)"})
		}
		if busy == 0 {
			misfits = append(misfits, Misfit{"busy_timeout", "0", "a statement fails at once when another connection writes; set busy_timeout"})
		}
		return nil
	})
	return serverTraits{}, misfits, err
}

// guards are what may prevent a deletion from a table.
type guards struct {
	any bool // something may prevent it
	// late are the tables whose foreign keys are checked at the commit.
	late []string
}

// guardsOf looks for triggers and foreign keys that concern a table or the tables
// to which its deletions cascade.
func guardsOf(ctx context.Context, drv dialect.ExecQuerier, t Table) (g guards, _ error) {
	type reference struct {
		from, to, action string
		late             bool
	}
	var references []reference
	const foreignKeys = `SELECT lower(m.name), lower(f."table"), f.on_delete, upper(m.sql) LIKE '%DEFERR%' FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`
	err := query(ctx, drv, foreignKeys, nil, func(rows *sql.Rows) error {
		var r reference
		if err := rows.Scan(&r.from, &r.to, &r.action, &r.late); err != nil {
			return err
		}
		references = append(references, r)
		return nil
	})
	if err != nil {
		return guards{}, err
	}
	triggered := make(map[string]bool)
	err = query(ctx, drv, `SELECT lower(tbl_name) FROM sqlite_master WHERE type = 'trigger'`, nil, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		triggered[name] = true
		return nil
	})
	if err != nil {
		return guards{}, err
	}
	touched := []string{strings.ToLower(t.Name)}
	anything := false // a trigger may change any table
	for i := 0; i < len(touched); i++ {
		anything = anything || triggered[touched[i]]
		for _, r := range references {
			if r.to == touched[i] && r.action != "NO ACTION" && r.action != "RESTRICT" && !slices.Contains(touched, r.from) {
				touched = append(touched, r.from)
			}
		}
	}
	g.any = anything
	for _, r := range references {
		if !anything && !slices.Contains(touched, r.to) {
			continue
		}
		g.any = true
		if r.late && !slices.Contains(g.late, r.from) {
			g.late = append(g.late, r.from)
		}
	}
	return g, nil
}

// tryDelete deletes the rows and rolls that back, so that an error of the deletion
// surfaces before the sender is called. It doesn't hold the write lock any longer
// than that. If nothing can prevent the deletion, it does nothing.
func (s *sqlite) tryDelete(ctx context.Context, drv dialect.Driver, table Table, ids []any) error {
	g, ok := s.guards[table]
	if !ok {
		var err error
		if g, err = guardsOf(ctx, drv, table); err != nil {
			return fmt.Errorf("ask what may refuse a deletion from %s: %w", table, err)
		}
		s.guards[table] = g
	}
	if !g.any {
		return nil
	}
	return inTurn(ctx, func() error {
		tx, err := drv.Tx(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		late := g.late
		if on, err := askSQLiteInt(ctx, tx, "SELECT foreign_keys FROM pragma_foreign_keys"); err != nil || on == 0 {
			if late = nil; err != nil {
				return err
			}
		}
		// A connection may start with it on.
		if err := tx.Exec(ctx, "PRAGMA defer_foreign_keys = OFF", []any{}, nil); err != nil {
			return err
		}
		before, err := orphans(ctx, tx, late)
		if err != nil {
			return err
		}
		statement, args := sql.Dialect(dialect.SQLite).Delete(table.Name).Where(inRanges(drv, table, ids)).Query()
		if err := tx.Exec(ctx, statement, args, nil); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if left, err := countSQLite(ctx, tx, table, ids); err != nil {
			return err
		} else if left > 0 {
			return allWent(len(ids)-left, len(ids))
		}
		after, err := orphans(ctx, tx, late)
		if err != nil {
			return err
		}
		for i, name := range late {
			if after[i] > before[i] {
				return fmt.Errorf("delete: table %s: %w", name, errAtCommit)
			}
		}
		return nil
	})
}

// orphans returns how many rows of each table break a foreign key.
func orphans(ctx context.Context, tx dialect.ExecQuerier, tables []string) ([]int, error) {
	counts := make([]int, len(tables))
	for i, name := range tables {
		n, err := askSQLiteInt(ctx, tx, "SELECT count(*) FROM pragma_foreign_key_check(?)", name)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	return counts, nil
}

// countSQLite returns how many rows with the ids there are.
func countSQLite(ctx context.Context, db dialect.ExecQuerier, table Table, ids []any) (int, error) {
	b := sql.Dialect(dialect.SQLite)
	text, args := b.Select(sql.Count("*")).From(b.Table(table.Name)).Where(sql.In(table.IDColumn, ids...)).Query()
	return askSQLiteInt(ctx, db, text, args...)
}

func askSQLiteInt(ctx context.Context, db dialect.ExecQuerier, text string, args ...any) (n int, _ error) {
	err := query(ctx, db, text, args, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, err
}
