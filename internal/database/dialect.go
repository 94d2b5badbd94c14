// Package database contains everything that differs between databases: how a batch
// of rows is claimed, how only one ordered flush runs at a time, and after which
// errors a transaction may be run again. Each database has one file.
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

// Table is the table of a signal.
type Table struct {
	Schema   string // empty means the schema of the connection
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

// A Claim is one attempt to deliver one batch. Its data flows one way: Fetch
// returns which rows there are, the database deletes those that it can and passes
// them to Send, and what Send returns is committed.
type Claim struct {
	Driver dialect.Driver
	Table  Table
	// Fetch reads the rows with drv, remembers them for Send and returns their ids.
	// It applies lock to its query. If a claim is tried again, Fetch is called
	// again.
	Fetch func(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) (ids []any, err error)
	// Send passes rows to the sender. It is called at most once. deleted are the
	// ids of the rows to send, a part of what Fetch has returned, in the same
	// order. refused are rows that the database doesn't delete; Send treats them as
	// rows that could not be sent. In an ordered claim, rows behind the first
	// refused one may be in neither list.
	Send func(ctx context.Context, deleted []any, refused []Refusal) Outcome
	// Ordered means that the claim belongs to an ordered flush. Only one ordered
	// claim on a table runs at a time, and it waits for rows that others hold
	// instead of skipping them.
	Ordered bool
	// Keys, if there are any, apply Ordered to the claims with one of the same keys only.
	Keys []string
	// Busy, if set, is called with the indexes of the keys that other claims hold,
	// before the claim fails with [ErrBusy].
	Busy func(keys []int)
	// SkipHeld makes an ordered claim skip rows that other transactions hold.
	SkipHeld bool
	// Only, if not nil, is the id of the only row that Fetch may return, and the row is
	// nothing that Fetch loads other rows with. It may then be deleted as it is read.
	Only any
	// Durable means that the deletion must survive a crash of the server.
	Durable bool
	// Patience is how long to wait on a database where only one claim runs at a
	// time. After that the error is [ErrBusy]. 0 means to wait until the context of
	// the claim ends.
	Patience time.Duration
	// Settle limits the statements that end the transaction. They run even if the
	// context of the claim has ended.
	Settle time.Duration
	// Behind runs what a claim on a database where only one runs at a time leaves behind:
	// the deletion of what was sent, for as long as it can't be done.
	Behind func(func())
}

// An Outcome is what became of the rows of a claim.
type Outcome struct {
	// Sent has the ids of the rows that were sent. Their deletion is committed.
	Sent []any
	// Changes is what to write into rows that stay, while they are locked. If that fails,
	// everything else is still done.
	Changes []Change
	// Err is why rows stay.
	Err error
}

// A Dialect is one kind of database. Its methods are safe for concurrent use.
type Dialect interface {
	// Claim locks the rows of a batch, sends them and deletes them. It returns how
	// many rows it deleted. The error is [ErrBusy] if another ordered claim on the
	// table or the key is running, or if another claim took too long. After an
	// error, the rows that were not deleted are free again.
	Claim(ctx context.Context, c Claim) (int, error)
	// Note makes changes outside a claim, in rows that no other transaction holds.
	// A transaction that holds a row will record its own result there.
	Note(ctx context.Context, n Note) error
	// Repair changes or deletes rows outside claims, and returns their ids. It
	// waits for the claims that hold them.
	Repair(ctx context.Context, m Repair) ([]any, error)
	// Exclusive reports whether only one claim runs at a time.
	Exclusive() bool
	// Read runs read with a driver that sees committed rows and doesn't wait for
	// writers.
	Read(ctx context.Context, drv dialect.Driver, read func(dialect.Driver) error) error
	// Empty reports which tables have no rows, with one query.
	Empty(ctx context.Context, drv dialect.Driver, tables []Table) ([]bool, error)
	// Order returns whether the ids of a table come in the order in which they are
	// committed, or how a flush can ensure it.
	Order(ctx context.Context, drv dialect.Driver, t Table) (Order, error)
	// OrderIndexed reports whether an index of the table serves an order.
	OrderIndexed(ctx context.Context, drv dialect.Driver, t Table, o IndexedOrder) (bool, error)
	// Check checks, before the first claim of a table, whether the server and the
	// table are fit for claims, and remembers it if they are. The error describes
	// why they aren't, and what to do. Check also returns the settings that don't
	// suit a bus whose batches take up to batch each.
	Check(ctx context.Context, drv dialect.Driver, t Table, batch time.Duration) ([]Misfit, error)
	// Absence returns why rows that a commit has recorded can't be seen. It returns
	// an empty string if another flush may have sent them.
	Absence(ctx context.Context, drv dialect.Driver, m Missing) (reason string, err error)
}

// ErrBusy is returned by a claim of an ordered flush while another one runs, and by
// a claim that waited too long for another one.
var ErrBusy = errors.New("another flush is running")

// New returns the dialect of drv.
func New(drv dialect.Driver) (Dialect, error) {
	switch name := drv.Dialect(); name {
	case dialect.Postgres:
		return &locking{orderLock: postgresOrderLock{}, remove: removePostgres, takeOne: takeOnePostgres, order: orderPostgres, orderStamp: orderStampPostgres, indexes: findIndexesPostgres, askServer: askServerPostgres, askTable: askTablePostgres, absence: absencePostgres}, nil
	case dialect.MySQL:
		return &locking{orderLock: mysqlOrderLock{}, remove: removeMySQL, order: orderMySQL, indexes: findIndexesMySQL, askServer: askServerMySQL, askTable: askTableMySQL, hint: " FORCE INDEX (PRIMARY)"}, nil
	case dialect.SQLite:
		return newSQLite(), nil
	default:
		return nil, fmt.Errorf("database %q is not supported; expected PostgreSQL, MySQL, MariaDB or SQLite", name)
	}
}

// IsSerializationFailure reports whether the database chose a transaction as the
// victim of a conflict. It may succeed if it is run again.
func IsSerializationFailure(err error) bool {
	return err != nil && (isPostgresConflict(err) || isMySQLConflict(err) || isSQLiteBusy(err))
}

// IsUnavailable reports whether err means that the database can't be reached, or
// accepts no more connections, or no writes.
func IsUnavailable(err error) bool {
	var network *net.OpError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, errStandby) || errors.As(err, &network) || isPostgresUnavailable(err) || isMySQLUnavailable(err)
}

// NotDeletedError is part of the error of a claim whose rows were sent, completely
// or in part, but not deleted.
type NotDeletedError struct{ err error }

func (e *NotDeletedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *NotDeletedError) Unwrap() error { return e.err }

// IsOfServer reports whether err came from the database, from the connection to it
// or from the end of a context, and not from code that processed an answer.
func IsOfServer(err error) bool {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded, stdsql.ErrTxDone, stdsql.ErrConnDone} {
		if errors.Is(err, end) {
			return true
		}
	}
	return isAnswer(err) || IsUnavailable(err)
}

// isAnswer reports whether err is an answer of the database.
func isAnswer(err error) bool {
	if err == nil {
		return false
	}
	_, mysql := mysqlNumber(err)
	_, sqlite := sqliteCode(err)
	return mysql || sqlite || sqlState(err) != ""
}

// notDeleted returns the error of a batch that was sent but not deleted.
func notDeleted(err error) error {
	return &NotDeletedError{fmt.Errorf("sent, but the deletion failed, so it will be sent again: %w", err)}
}
