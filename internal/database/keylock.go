package database

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
)

// lockKeysPostgres locks each key to the end of the transaction, all in the order
// of what is locked: two keys may share a lock, and in their own order two
// transactions could wait for each other.
const lockKeysPostgres = `SELECT pg_advisory_xact_lock(h) FROM (
	SELECT DISTINCT hashtextextended('entsignal ' || $1::text || ' ' || k, 0) AS h
	FROM json_array_elements_text($2::json) AS k ORDER BY h OFFSET 0) AS sorted`

// errNoKeyLock is the error of databases whose locks are of rows or of sessions.
var errNoKeyLock = errors.New("MySQL and MariaDB have no lock of a key that ends with the transaction; leave out LockOrderKey, and lock the row that the key names before the signal is created")

// LockKeys locks the keys of a table for the transaction in which drv works. Any
// program can lock the same key: the text that is hashed is "entsignal", the
// table and the key as it is stored, with a space between. SQLite, where one
// transaction writes at a time, needs no lock; MySQL and MariaDB have none, which is
// the error.
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
