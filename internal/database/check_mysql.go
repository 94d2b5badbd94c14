package database

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// idleMySQL are limits whose unit is the second. All but wait_timeout are
// MariaDB's. A claim writes before it waits.
var idleMySQL = [...]string{"idle_transaction_timeout", "idle_write_transaction_timeout", "wait_timeout"}

const settingsMySQL = `SHOW SESSION VARIABLES WHERE Variable_name IN (
	'idle_transaction_timeout', 'idle_write_transaction_timeout', 'wait_timeout',
	'version', 'version_comment', 'tidb_txn_mode',
	'wsrep_on', 'group_replication_group_name', 'group_replication_single_primary_mode',
	'log_bin', 'sql_log_bin', 'binlog_format',
	'autocommit', 'completion_type', 'tx_read_only', 'transaction_read_only', 'sql_safe_updates')`

// askServerMySQL reads the settings that matter to claims.
func askServerMySQL(ctx context.Context, drv dialect.Driver, batch time.Duration) (serverTraits, []Misfit, error) {
	set := make(map[string]string)
	err := query(ctx, drv, settingsMySQL, nil, func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		set[strings.ToLower(name)] = value
		return nil
	})
	if err != nil {
		return serverTraits{}, nil, fmt.Errorf("ask the server for its settings: %w", err)
	}
	on := func(name string) bool { return set[name] == "ON" || set[name] == "1" }
	limits := make(map[string]time.Duration)
	for _, name := range idleMySQL {
		if seconds, err := strconv.ParseInt(set[name], 10, 64); err == nil {
			limits[name] = time.Duration(seconds) * time.Second
		}
	}
	misfits := append(kinOfMySQL(set), tooShort(batch, limits)...)
	return serverTraits{safeUpdates: on("sql_safe_updates")}, misfits, refuseMySQL(set, on)
}

// kinOfMySQL detects clusters in which several claims may hold the same rows.
func kinOfMySQL(set map[string]string) (misfits []Misfit) {
	if set["wsrep_on"] == "ON" {
		misfits = append(misfits, Misfit{"wsrep_on", "ON", oneNode})
	}
	if set["group_replication_group_name"] != "" && set["group_replication_single_primary_mode"] == "OFF" {
		misfits = append(misfits, Misfit{"group_replication_single_primary_mode", "OFF", oneNode})
	}
	if version := set["version"]; strings.Contains(version, "Vitess") {
		misfits = append(misfits, Misfit{"version", version, "a transaction and its locks are those of one shard; keep the tables of signals in an unsharded keyspace; it is not tested with entsignal"})
	}
	return misfits
}

// refuseMySQL rejects servers that duplicate messages, and settings with which each
// claim fails.
func refuseMySQL(set map[string]string, on func(string) bool) error {
	_, tidb := set["tidb_txn_mode"]
	switch {
	case tidb || strings.Contains(set["version"]+set["version_comment"], "TiDB"):
		return unfit("the server is TiDB (%s), which accepts FOR UPDATE SKIP LOCKED but locks nothing, so concurrent flushes would send each message twice; keep the tables of signals in MySQL or MariaDB", set["version"])
	case strings.Contains(set["version_comment"], "Dolt"):
		return unfit("the server is Dolt (%s), which accepts FOR UPDATE but locks nothing, so concurrent flushes would send each message twice; keep the tables of signals in MySQL or MariaDB", set["version"])
	case set["binlog_format"] == "STATEMENT" && (on("log_bin") || on("wsrep_on")) && set["sql_log_bin"] != "OFF":
		return unfit("binlog_format=STATEMENT can't log a READ COMMITTED transaction (error 1665); SET GLOBAL binlog_format = 'MIXED', or 'ROW', also in the server's configuration, and connect anew")
	case set["autocommit"] == "OFF":
		return unfit("autocommit=0 leaves a transaction open on each connection; remove it from the DSN or the server's configuration")
	case set["completion_type"] != "" && set["completion_type"] != "NO_CHAIN" && set["completion_type"] != "0":
		return unfit("completion_type=%s begins a transaction, or ends the connection, with each commit; set it to NO_CHAIN in the DSN or the server's configuration", set["completion_type"])
	case on("tx_read_only") || on("transaction_read_only"):
		return unfit("transaction_read_only=ON (tx_read_only) refuses each deletion; set it to 0 in the DSN of the programs that flush")
	}
	return nil
}

// engineMySQL: names in information_schema compare without case.
const engineMySQL = `
SELECT t.ENGINE, e.TRANSACTIONS, e.SAVEPOINTS
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND t.TABLE_NAME = ?
ORDER BY t.TABLE_NAME = BINARY ? DESC LIMIT 1`

// askTableMySQL checks whether the table's engine can roll back a deletion. If it
// can't, signals would be deleted that the sender then fails to send. A view has no
// engine. A table that doesn't exist is reported by the claim.
func askTableMySQL(ctx context.Context, drv dialect.Driver, t Table) (traits tableTraits, misfits []Misfit, _ error) {
	err := query(ctx, drv, engineMySQL, []any{t.Schema, t.Name, t.Name}, func(rows *sql.Rows) error {
		var engine, transactions, savepoints stdsql.NullString
		if err := rows.Scan(&engine, &transactions, &savepoints); err != nil {
			return err
		}
		traits.known = true
		no := func(s stdsql.NullString) bool { return s.Valid && s.String != "YES" }
		switch {
		case no(transactions) || no(savepoints):
			traits.known = false
			return unfit("table %s has the engine %s, which can't roll back a deletion (transactions: %s, savepoints: %s), so messages that fail would be lost; ALTER TABLE %s ENGINE=InnoDB",
				t, engine.String, transactions.String, savepoints.String, t)
		case engine.Valid && !strings.EqualFold(engine.String, "InnoDB"):
			misfits = append(misfits, Misfit{"engine", engine.String + " of table " + t.String(), "only InnoDB is tested; an engine that doesn't skip locked rows makes flushes wait for each other"})
		}
		return nil
	})
	if err != nil && traits.known {
		return tableTraits{}, nil, fmt.Errorf("ask for the engine of table %s: %w", t, err)
	}
	return traits, misfits, err
}
