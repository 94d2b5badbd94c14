package database

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// settingsPostgres: the unit of the limits is the millisecond.
// transaction_timeout is of PostgreSQL 17 and later; idle_session_timeout spares
// transactions.
const settingsPostgres = `
SELECT name, setting FROM pg_settings
	WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'default_transaction_read_only', 'synchronous_commit')
UNION ALL SELECT 'version', version()
UNION ALL SELECT 'deferrable', CASE WHEN EXISTS (SELECT 1 FROM pg_trigger WHERE tgdeferrable) THEN 'on' ELSE 'off' END
UNION ALL SELECT 'extension', extname::text FROM pg_extension WHERE extname IN ('bdr', 'spock')`

const oneNode = "row locks and the locks of ordered flushes apply to one node only, so a claim on another node sends the same messages again; run all programs that flush or autoflush against the same node"

// askServerPostgres reads the settings that matter to claims. A server that only
// speaks PostgreSQL's protocol may know only some of them.
func askServerPostgres(ctx context.Context, drv dialect.Driver, batch time.Duration) (t serverTraits, misfits []Misfit, _ error) {
	limits := make(map[string]time.Duration)
	err := query(ctx, drv, settingsPostgres, nil, func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		switch name {
		case "version":
			kin := kinOfPostgres(value)
			misfits, t.genuine = append(misfits, kin...), kin == nil
		case "deferrable":
			t.deferrable = value == "on"
		case "synchronous_commit":
			t.waits = value != "off"
		case "extension":
			misfits = append(misfits, Misfit{"extension", value, oneNode})
		case "default_transaction_read_only":
			if value == "on" {
				misfits = append(misfits, Misfit{name, value, "a claim needs a transaction that can write, and only lib/pq asks for one; with other drivers set default_transaction_read_only=off in the DSN of the programs that flush"})
			}
		default:
			ms, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			limits[name] = time.Duration(ms) * time.Millisecond
		}
		return nil
	})
	if isPostgresRefusal(err) {
		return serverTraits{}, kinOfPostgres(""), nil
	}
	if err != nil {
		return serverTraits{}, nil, fmt.Errorf("ask the server for its settings: %w", err)
	}
	return t, append(misfits, tooShort(batch, limits)...), nil
}

// kinOfPostgres detects other servers that speak PostgreSQL's protocol, from the
// result of version().
func kinOfPostgres(version string) []Misfit {
	const untested = "; it is not tested with entsignal"
	switch {
	case strings.Contains(version, "CockroachDB"):
		return []Misfit{{"server", version, "a claim is READ COMMITTED only with the cluster setting sql.txn.read_committed_isolation.enabled; without it a commit may fail after its messages were sent, and they repeat. FlushOrdered has no lock there: run it in one process" + untested}}
	case strings.Contains(version, "-YB-"):
		return []Misfit{{"server", version, "a claim is READ COMMITTED only with the flag yb_enable_read_committed_isolation; without it a commit may fail after its messages were sent, and they repeat. FlushOrdered needs advisory locks, which YugabyteDB has since 2025.1" + untested}}
	case strings.HasPrefix(version, "PostgreSQL "):
		return nil
	default:
		return []Misfit{{"server", version, "the server is not PostgreSQL; it must honour FOR UPDATE SKIP LOCKED, savepoints and READ COMMITTED, or messages repeat" + untested}}
	}
}

const relationPostgres = `SELECT relpersistence::text, relhasrules FROM pg_class WHERE oid = to_regclass(%s)`

// askTablePostgres checks whether a table survives a crash of the server, and whether it has rules.
func askTablePostgres(ctx context.Context, drv dialect.Driver, t Table) (traits tableTraits, misfits []Misfit, _ error) {
	err := query(ctx, drv, fmt.Sprintf(relationPostgres, pgLiteral(pgTable(t))), nil, func(rows *sql.Rows) error {
		var persistence string
		if err := rows.Scan(&persistence, &traits.rules); err != nil {
			return err
		}
		traits.known = true
		if persistence == "u" {
			misfits = append(misfits, Misfit{"table", t.String() + " UNLOGGED", "a crash of the server empties the table, and its messages are lost; ALTER TABLE … SET LOGGED"})
		}
		return nil
	})
	if isPostgresRefusal(err) {
		return tableTraits{known: true}, nil, nil
	}
	if err != nil {
		return tableTraits{}, nil, fmt.Errorf("ask about table %s: %w", t, err)
	}
	return traits, misfits, nil
}
