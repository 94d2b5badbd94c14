package entsignal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"entgo.io/ent/schema"
)

// Annotation tunes a signal. It is made by the functions [AutoFlush],
// [BurstCount], [OrderBy], [OrderKey] and [LockOrderKey]; mixin.Signal carries the one that makes an
// entity a signal, and mixin.Retry one with its policy. Several annotations merge, the schema's over the mixin's.
type Annotation struct {
	Signal     bool         `json:"signal,omitempty"`      // set by mixin.Signal
	AutoFlush  *bool        `json:"auto_flush,omitempty"`  // nil: true
	BurstCount *int         `json:"burst_count,omitempty"` // nil: the bus's default
	OrderBy    *[]OrderTerm `json:"order_by,omitempty"`    // nil: by id
	OrderKey   *string      `json:"order_key,omitempty"`   // nil: one order for all

	LockOrderKey bool `json:"lock_order_key,omitempty"`

	Retry *RetryPolicy `json:"retry,omitempty"` // set by mixin.Retry
}

// AnnotationName is the name under which ent carries an [Annotation].
const AnnotationName = "EntSignal"

// AutoFlush says whether a commit sends the signals that it recorded. The
// default is true.
func AutoFlush(on bool) Annotation { return Annotation{AutoFlush: &on} }

// BurstCount sets how many rows one transaction of Flush, FlushMany and
// FlushOrdered claims, sends and deletes. The default is 1: correct for every
// sender, and slow for a backlog. Senders that take a batch at once do well
// with 500. It doesn't bound an autoflush.
func BurstCount(n int) Annotation { return Annotation{BurstCount: &n} }

// OrderBy sets the order in which FlushOrdered sends. The terms name ent
// fields, plain or made by [Asc] and [Desc]; the id is always the last term.
// It needs an explicit [AutoFlush], because an autoflush keeps no order.
func OrderBy(terms ...OrderTerm) Annotation {
	// An order without a term must reach the generator, which refuses it, and
	// nil would be null in JSON.
	terms = append([]OrderTerm{}, terms...)
	return Annotation{OrderBy: &terms}
}

// OrderKey says that the order matters only among the signals that have the
// same value of a field, such as the account that they are about. FlushOrdered
// then sends each key's signals in the order of OrderBy and the id, several
// keys side by side (see [Workers]), and a key whose first signal can't be
// sent waits without keeping the others. The field is a required integer,
// string, enum, bool or UUID, and should have an index. It needs an explicit
// [AutoFlush], as OrderBy does.
func OrderKey(field string) Annotation { return Annotation{OrderKey: &field} }

// LockOrderKey makes the transactions that create signals of one key of
// [OrderKey] come one after the other, so that their ids are in the order in
// which they are committed. Before a signal is inserted, its transaction locks
// the key, and another that creates a signal of that key waits until it ends.
// A bulk locks all its keys at once and in order. A transaction that creates
// signals of several keys one by one should do so in the order of the keys, or
// else two of them may be in a deadlock, after which Atomic runs one again.
//
// Such a signal can be created only in a transaction; without one the error
// wraps [ErrNoTx]. PostgreSQL locks; SQLite has one writer anyway; on MySQL and
// MariaDB, which have no such lock, the creation is an error. Rows that are
// inserted past the generated client aren't locked.
func LockOrderKey() Annotation { return Annotation{LockOrderKey: true} }

// OrderTerm is one term of an order: the name of an ent field, with "-" in
// front for a descending one.
type OrderTerm string

// Asc orders by the field, lowest first, as the plain name does.
func Asc(field string) OrderTerm { return OrderTerm(field) }

// Desc orders by the field, highest first.
func Desc(field string) OrderTerm { return OrderTerm("-" + field) }

// Field returns the name of the term's field.
func (t OrderTerm) Field() string { return strings.TrimPrefix(string(t), "-") }

// Descending reports whether the highest value comes first.
func (t OrderTerm) Descending() bool { return strings.HasPrefix(string(t), "-") }

// Name implements [schema.Annotation].
func (Annotation) Name() string { return AnnotationName }

// Merge implements [schema.Merger]: what other sets wins.
func (a Annotation) Merge(other schema.Annotation) schema.Annotation {
	var o Annotation
	switch other := other.(type) {
	case Annotation:
		o = other
	case *Annotation:
		if other != nil {
			o = *other
		}
	default:
		return a
	}
	a.Signal = a.Signal || o.Signal
	if o.AutoFlush != nil {
		a.AutoFlush = o.AutoFlush
	}
	if o.BurstCount != nil {
		a.BurstCount = o.BurstCount
	}
	if o.OrderBy != nil {
		a.OrderBy = o.OrderBy
	}
	if o.OrderKey != nil {
		a.OrderKey = o.OrderKey
	}
	a.LockOrderKey = a.LockOrderKey || o.LockOrderKey
	if o.Retry != nil {
		a.Retry = o.Retry
	}
	return a
}

// DecodeAnnotation reads an annotation from the form in which ent's code
// generator holds it. It returns an error for a field that this version of
// the library doesn't know.
func DecodeAnnotation(raw any) (Annotation, error) {
	var a Annotation
	data, err := json.Marshal(raw)
	if err != nil {
		return a, fmt.Errorf("entsignal: annotation %s: %w", AnnotationName, err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, fmt.Errorf("entsignal: annotation %s: %w", AnnotationName, err)
	}
	return a, nil
}

var (
	_ schema.Annotation = Annotation{}
	_ schema.Merger     = Annotation{}
)
