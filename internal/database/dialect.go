// Package database holds what differs between databases: how a batch of rows
// is claimed, how only one ordered flush runs at a time, and which errors say that a
// transaction may be run again. Each database has one file.
package database

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Table is where the rows of a batch are.
type Table struct {
	Schema   string // empty: the connection's
	Name     string
	IDColumn string
	Counted  bool // the ids are whole numbers in the database
}

// String returns the table's name within the database.
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// A Claim is one attempt to deliver one batch. Its data flows one way: Fetch says which
// rows there are, the database deletes those that it can and tells Send of them, and
// what Send returns is committed.
type Claim struct {
	Driver dialect.Driver
	Table  Table
	// Fetch reads the rows through drv, keeps them for Send and returns their ids;
	// lock is applied to the query. When a claim is tried again, Fetch is called
	// again.
	Fetch func(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) (ids []any, err error)
	// Send hands rows to the sender, and is called at most once: those with the ids
	// in deleted, which are a part of what Fetch has returned, in its order. refused
	// are rows that the database doesn't delete, and of which Send tells as of rows
	// that could not be sent. Of an ordered claim there may be others, behind the
	// first one that is refused.
	Send func(ctx context.Context, deleted []any, refused []Refusal) Outcome
	// Ordered history a claim of an ordered flush. Of those on one table only
	// one runs at a time, and instead of skipping the rows that others hold
	// it waits for them.
	Ordered bool
	// Key, if not empty, restricts that to the claims with the same key.
	Key string
	// Patience is how long to wait where one claim runs at a time; then the error is
	// [ErrBusy]. 0 stands for as long as the context of the claim.
	Patience time.Duration
	// Settle bounds the statements that end the transaction. They run even
	// when the context of the claim has ended.
	Settle time.Duration
}

// An Outcome is what became of the rows of a claim.
type Outcome struct {
	// Sent has the ids of the rows that were sent. Their deletion is committed.
	Sent []any
	// Changes is what to write into rows that stay. They are written while the rows
	// are locked; if that fails nothing else does.
	Changes []Change
	// Err says why rows stay.
	Err error
}

// A Dialect is one kind of database. It may be used by several goroutines.
type Dialect interface {
	// Claim locks the rows of a batch, sends and deletes them. It returns how
	// many rows it deleted for good. The error is [ErrBusy] if another ordered
	// claim on the table, or on the key, is running, or if another claim took too long
	// in time. After an error the rows that were not
	// deleted are free again.
	Claim(ctx context.Context, c Claim) (int, error)
	// Note makes changes outside of a claim, in rows that no other transaction
	// holds by then: who holds them notes what comes of it.
	Note(ctx context.Context, n Note) error
	// Repair changes or deletes rows outside of claims, and returns their ids. It
	// waits for the claims that hold them.
	Repair(ctx context.Context, m Repair) ([]any, error)
	// Exclusive reports whether only one claim runs at a time.
	Exclusive() bool
	// Read runs read with a driver that sees committed rows and waits for no
	// writer.
	Read(ctx context.Context, drv dialect.Driver, read func(dialect.Driver) error) error
	// Order tells whether the ids of a table come in the order in which they
	// are committed, or how to make a flush see to it.
	Order(ctx context.Context, drv dialect.Driver, t Table) (Order, error)
	// Check asks, before the first claim of a table, whether the server and the
	// table are fit for claims, and remembers it if they are. The error says why
	// they aren't, and what to do. It also returns the settings that don't fit a bus
	// whose batches take up to batch each.
	Check(ctx context.Context, drv dialect.Driver, t Table, batch time.Duration) ([]Misfit, error)
	// Absence returns why the rows can't be seen that a commit has recorded, or
	// nothing where they may as well have been sent by another flush.
	Absence(ctx context.Context, drv dialect.Driver, m Missing) (reason string, err error)
}

// ErrBusy is returned by a claim of an ordered flush while another one runs, and
// by one that waited too long for another.
var ErrBusy = errors.New("another flush is running")

// New returns the dialect of drv.
func New(drv dialect.Driver) (Dialect, error) {
	switch name := drv.Dialect(); name {
	case dialect.Postgres:
		return &locking{orderLock: postgresOrderLock{}, remove: removePostgres, order: orderPostgres, askServer: askServerPostgres, askTable: askTablePostgres, absence: absencePostgres}, nil
	case dialect.MySQL:
		return &locking{orderLock: mysqlOrderLock{}, remove: removeMySQL, order: orderMySQL, askServer: askServerMySQL, askTable: askTableMySQL, hint: " FORCE INDEX (PRIMARY)"}, nil
	case dialect.SQLite:
		return newSQLite(), nil
	default:
		return nil, fmt.Errorf("database %q is not supported; expected PostgreSQL, MySQL, MariaDB or SQLite", name)
	}
}

// IsSerializationFailure reports whether err says that the database chose a
// transaction as the victim of a conflict: run again it may succeed.
func IsSerializationFailure(err error) bool {
	return err != nil && (isPostgresConflict(err) || isMySQLConflict(err) || isSQLiteBusy(err))
}

// IsUnavailable reports whether err says that the database can't be reached, or
// takes no more connections, or no writes.
func IsUnavailable(err error) bool {
	var network *net.OpError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, errStandby) || errors.As(err, &network) || isPostgresUnavailable(err) || isMySQLUnavailable(err)
}

// NotDeletedError is part of the error of a claim whose rows were sent, in whole
// or in part, and yet stay.
type NotDeletedError struct{ err error }

func (e *NotDeletedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *NotDeletedError) Unwrap() error { return e.err }

// IsOfServer reports whether err came from the database, from the way to it or
// from the end of a context, and not from what a program made of its answer.
func IsOfServer(err error) bool {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded, stdsql.ErrTxDone, stdsql.ErrConnDone} {
		if errors.Is(err, end) {
			return true
		}
	}
	return isAnswer(err) || IsUnavailable(err)
}

// isAnswer reports whether err is what the database has answered.
func isAnswer(err error) bool {
	if err == nil {
		return false
	}
	_, mysql := errorField(err, "mysql", "MySQLError", "Number")
	_, sqlite := sqliteCode(err)
	return mysql || sqlite || sqlState(err) != ""
}

// notDeleted is the error of a batch that was sent and yet stays.
func notDeleted(err error) error {
	return &NotDeletedError{fmt.Errorf("sent, but the deletion failed, so it will be sent again: %w", err)}
}
