package database

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
)

// lockKeysPostgres locks each key until the end of the transaction, in the order of the lock
// numbers. Two keys may share a lock, so in the order of the keys two transactions could wait for
// each other.
const lockKeysPostgres = `SELECT pg_advisory_xact_lock(h) FROM (
	SELECT DISTINCT hashtextextended('entsignal ' || $1::text || ' ' || k, 0) AS h
	FROM json_array_elements_text($2::json) AS k ORDER BY h OFFSET 0) AS sorted`

// errNoKeyLock is the error of databases that have locks only of rows or of
// sessions.
var errNoKeyLock = errors.New("MySQL and MariaDB have no key lock that ends with the transaction; leave out LockOrderKey, and lock the row of the key's entity before you create the signal")

// LockKeys locks the keys of a table for the transaction of drv. Any program can
// lock the same key: the hashed text is "entsignal", the table and the key as it is
// stored, separated by spaces. SQLite, where only one transaction writes at a time,
// needs no lock. MySQL and MariaDB have no such lock; there it returns an error.
func LockKeys(ctx context.Context, drv dialect.Driver, table string, keys []any) error {
	switch drv.Dialect() {
	case dialect.SQLite:
		return nil
	case dialect.MySQL:
		return errNoKeyLock
	}
	texts := make([]string, len(keys))
	for i, key := range keys {
		if v, ok := key.(driver.Valuer); ok {
			stored, err := v.Value()
			if err != nil {
				return err
			}
			key = stored
		}
		if b, ok := key.([]byte); ok {
			key = string(b)
		}
		texts[i] = fmt.Sprint(key)
	}
	list, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	return drv.Exec(ctx, lockKeysPostgres, []any{table, string(list)}, nil)
}
