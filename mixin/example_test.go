package mixin_test

import (
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced is a message about an order, and each of its rows is deleted as soon
// as it is sent.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
}

func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("order_id")} }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)}
}

// Signal makes an entity a signal. It adds no field.
func ExampleSignal() {
	fmt.Println("fields:", len(mixin.Signal{}.Fields()))
	// Output:
	// fields: 0
}

// Retry adds the fields in which the bus records failures.
func ExampleRetry() {
	for _, m := range (OrderPlaced{}).Mixin() {
		for _, f := range m.Fields() {
			fmt.Println(f.Descriptor().Name)
		}
	}
	// Output:
	// signal_attempts
	// signal_retry_at
	// signal_failed_at
	// signal_error
}
