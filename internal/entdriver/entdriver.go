// Package entdriver looks into the drivers that clients of ent are opened with:
// ent's own over database/sql, those of applications, and debug drivers around
// either.
package entdriver

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"reflect"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Beginner is a driver that can start a transaction with an isolation level.
type Beginner interface {
	BeginTx(context.Context, *stdsql.TxOptions) (dialect.Tx, error)
}

// Bare returns drv without the debug drivers around it.
func Bare(drv dialect.Driver) dialect.Driver {
	for {
		debug, ok := drv.(*dialect.DebugDriver)
		if !ok {
			return drv
		}
		drv = debug.Driver
	}
}

// Executor returns what ent's own driver runs its statements on, and nil for a
// driver of another type.
func Executor(drv dialect.Driver) sql.ExecQuerier {
	if d, ok := Bare(drv).(*sql.Driver); ok && d != nil {
		return d.ExecQuerier
	}
	return nil
}

// IsPool reports whether drv is surely a connection pool, so that what was done
// through it is committed. A driver over a *sql.Tx that ent doesn't know of is
// not, and neither is a driver of another type.
func IsPool(drv dialect.Driver) bool {
	_, ok := Executor(drv).(*stdsql.DB)
	return ok
}

// IsTx reports whether drv is ent's driver over a transaction that the
// application began with database/sql.
func IsTx(drv dialect.Driver) bool {
	_, ok := Executor(drv).(*stdsql.Tx)
	return ok
}

// Begins returns drv as one that can start a transaction, or an error that says
// what it lacks.
func Begins(drv dialect.Driver) (Beginner, error) {
	bare := Bare(drv)
	if _, ok := bare.(Beginner); !ok {
		return nil, fmt.Errorf("driver %T can't start a transaction with an isolation level; give it a method BeginTx(context.Context, *sql.TxOptions) (dialect.Tx, error)", bare)
	}
	if _, ours := bare.(*sql.Driver); ours && !IsPool(bare) { // its BeginTx would panic
		return nil, fmt.Errorf("%s can't start a transaction; expected a *sql.DB", Name(bare))
	}
	return drv.(Beginner), nil // as a debug driver is
}

// Name names the type of drv.
func Name(drv dialect.Driver) string {
	if on := Executor(drv); on != nil {
		return fmt.Sprintf("ent's driver over %T", on)
	}
	return fmt.Sprintf("driver %T", Bare(drv))
}

// IsLike reports whether the drivers are of one type, and, if that is ent's,
// over one type.
func IsLike(a, b dialect.Driver) bool {
	return reflect.TypeOf(core(a)) == reflect.TypeOf(core(b))
}

// IsSame reports whether the drivers are the same, or ent's over the same pool.
// Of drivers that can't be compared it reports false.
func IsSame(a, b dialect.Driver) bool {
	x, y := core(a), core(b)
	return x != nil && IsLike(a, b) && reflect.ValueOf(x).Comparable() && x == y
}

// core is what makes a driver what it is.
func core(drv dialect.Driver) any {
	if on := Executor(drv); on != nil {
		return on
	}
	return Bare(drv)
}
