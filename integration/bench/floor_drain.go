package main

import (
	"context"
	"database/sql"
	"fmt"

	"entgo.io/ent/dialect"
)

// rawDrain claims and deletes all rows by plain SQL, a transaction for each
// batch, and sends nothing. It carries the last id on from batch to batch.
func rawDrain(ctx context.Context, j job, m *meter) error {
	drivers := map[string]string{dialect.Postgres: "postgres", dialect.MySQL: "mysql", dialect.SQLite: "sqlite"}
	if err := m.start(); err != nil {
		return err
	}
	db, err := sql.Open(drivers[j.Database], j.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	take := map[string]func(context.Context, *sql.DB, int, int) (int, int, error){
		dialect.Postgres: takePostgres,
		dialect.MySQL:    takeMariaDB,
		dialect.SQLite:   takeSQLite,
	}[j.Database]
	for last, taken := 0, 0; taken < j.Count; {
		n := 0
		if last, n, err = take(ctx, db, last, j.Burst); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("only %d of %d rows were there", taken, j.Count)
		}
		taken += n
	}
	return m.stop(j.Count)
}

// takePostgres deletes the first rows above the last id, in one statement. It
// returns the highest id, and how many there were.
func takePostgres(ctx context.Context, db *sql.DB, last, burst int) (int, int, error) {
	rows, err := db.QueryContext(ctx, `DELETE FROM events WHERE id = ANY(ARRAY(
		SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING id, order_id, payload`, last, burst)
	if err != nil {
		return 0, 0, err
	}
	_, highest, n, err := readEvents(rows)
	return highest, n, err
}

func takeMariaDB(ctx context.Context, db *sql.DB, last, burst int) (int, int, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	rows, err := tx.QueryContext(ctx,
		"SELECT id, order_id, payload FROM events WHERE id > ? ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED", last, burst)
	if err != nil {
		return 0, 0, err
	}
	lowest, highest, n, err := readEvents(rows)
	if err != nil {
		return 0, 0, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM events WHERE id BETWEEN ? AND ?", lowest, highest); err != nil {
		return 0, 0, err
	}
	return highest, n, tx.Commit()
}

// takeSQLite reads and then deletes without a transaction around both, since
// nobody who sends between them may hold SQLite's only write lock.
func takeSQLite(ctx context.Context, db *sql.DB, last, burst int) (int, int, error) {
	rows, err := db.QueryContext(ctx, "SELECT id, order_id, payload FROM events WHERE id > ? ORDER BY id LIMIT ?", last, burst)
	if err != nil {
		return 0, 0, err
	}
	lowest, highest, n, err := readEvents(rows)
	if err != nil {
		return 0, 0, err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM events WHERE id BETWEEN ? AND ?", lowest, highest)
	return highest, n, err
}

// readEvents reads whole rows, as a relay has to, and closes them. It returns
// the lowest and the highest id, and how many there were.
func readEvents(rows *sql.Rows) (lowest, highest, n int, err error) {
	defer rows.Close()
	for ; rows.Next(); n++ {
		var id, order int
		var payload []byte
		if err := rows.Scan(&id, &order, &payload); err != nil {
			return 0, 0, 0, err
		}
		if n == 0 || id < lowest {
			lowest = id
		}
		highest = max(highest, id)
	}
	return lowest, highest, n, rows.Err()
}
