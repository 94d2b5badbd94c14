// Package ids_test sends signals whose ids the database knows otherwise than Go:
// in every way, on every database.
package ids_test

import (
	"context"

	"github.com/entsignal/signalbus/integration/ids/ent"
)

// A kind is one type of id.
type kind struct {
	name string
	// create creates signals with these numbers in one bulk.
	create func(ctx context.Context, c *ent.Client, numbers []int) error
	// send sends the signals with these numbers by the client's Send.
	send func(ctx context.Context, c *ent.Client, numbers []int) (int, error)
	// lock locks a signal.
	lock func(ctx context.Context, tx *ent.Tx) error
}

// allKinds are all types of ids.
var allKinds = []kind{
	{
		name: ent.TypeCoded,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Coded.MapCreateBulk(numbers, func(b *ent.CodedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Coded.Send(ctx, chosen(c.Coded.Query().AllX(ctx), numbers, func(s *ent.Coded) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Coded.Lock(ctx, tx.Coded.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeCounted,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Counted.MapCreateBulk(numbers, func(b *ent.CountedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Counted.Send(ctx, chosen(c.Counted.Query().AllX(ctx), numbers, func(s *ent.Counted) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Counted.Lock(ctx, tx.Counted.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeHashed,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Hashed.MapCreateBulk(numbers, func(b *ent.HashedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Hashed.Send(ctx, chosen(c.Hashed.Query().AllX(ctx), numbers, func(s *ent.Hashed) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Hashed.Lock(ctx, tx.Hashed.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeLinked,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Linked.MapCreateBulk(numbers, func(b *ent.LinkedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Linked.Send(ctx, chosen(c.Linked.Query().AllX(ctx), numbers, func(s *ent.Linked) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Linked.Lock(ctx, tx.Linked.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypePacked,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Packed.MapCreateBulk(numbers, func(b *ent.PackedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Packed.Send(ctx, chosen(c.Packed.Query().AllX(ctx), numbers, func(s *ent.Packed) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Packed.Lock(ctx, tx.Packed.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeRaw,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Raw.MapCreateBulk(numbers, func(b *ent.RawCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Raw.Send(ctx, chosen(c.Raw.Query().AllX(ctx), numbers, func(s *ent.Raw) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Raw.Lock(ctx, tx.Raw.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeReferred,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Referred.MapCreateBulk(numbers, func(b *ent.ReferredCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Referred.Send(ctx, chosen(c.Referred.Query().AllX(ctx), numbers, func(s *ent.Referred) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Referred.Lock(ctx, tx.Referred.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeSerialized,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Serialized.MapCreateBulk(numbers, func(b *ent.SerializedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Serialized.Send(ctx, chosen(c.Serialized.Query().AllX(ctx), numbers, func(s *ent.Serialized) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Serialized.Lock(ctx, tx.Serialized.Query().FirstX(ctx).ID)
			return err
		},
	},
	{
		name: ent.TypeUnsigned,
		create: func(ctx context.Context, c *ent.Client, numbers []int) error {
			return c.Unsigned.MapCreateBulk(numbers, func(b *ent.UnsignedCreate, i int) { b.SetNumber(numbers[i]) }).Exec(ctx)
		},
		send: func(ctx context.Context, c *ent.Client, numbers []int) (int, error) {
			return c.Unsigned.Send(ctx, chosen(c.Unsigned.Query().AllX(ctx), numbers, func(s *ent.Unsigned) int { return s.Number })...)
		},
		lock: func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Unsigned.Lock(ctx, tx.Unsigned.Query().FirstX(ctx).ID)
			return err
		},
	},
}

// senders returns a sender for each type, which give what they get to the
// recorder.
func senders(r *recorder) ent.SignalSenders {
	return ent.SignalSenders{
		Coded:      record(r, func(s *ent.Coded) int { return s.Number }),
		Counted:    record(r, func(s *ent.Counted) int { return s.Number }),
		Hashed:     record(r, func(s *ent.Hashed) int { return s.Number }),
		Linked:     record(r, func(s *ent.Linked) int { return s.Number }),
		Packed:     record(r, func(s *ent.Packed) int { return s.Number }),
		Raw:        record(r, func(s *ent.Raw) int { return s.Number }),
		Referred:   record(r, func(s *ent.Referred) int { return s.Number }),
		Serialized: record(r, func(s *ent.Serialized) int { return s.Number }),
		Unsigned:   record(r, func(s *ent.Unsigned) int { return s.Number }),

		KeyedByRef:   record(r, func(s *ent.KeyedByRef) int { return s.Number }),
		LockedByRef:  record(r, func(s *ent.LockedByRef) int { return s.Number }),
		KeyedByCode:  record(r, func(s *ent.KeyedByCode) int { return s.Number }),
		KeyedByUUID:  record(r, func(s *ent.KeyedByUUID) int { return s.Number }),
		OrderedByRef: record(r, func(s *ent.OrderedByRef) int { return s.Number }),
	}
}

// chosen returns the signals with these numbers.
func chosen[T any](all []T, numbers []int, number func(T) int) (some []T) {
	for _, n := range numbers {
		for _, s := range all {
			if number(s) == n {
				some = append(some, s)
			}
		}
	}
	return some
}
