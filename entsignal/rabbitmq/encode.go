package rabbitmq

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"reflect"

	"github.com/entsignal/signalbus/entsignal"
)

// errNothingPublished is the error of an [Encode] whose sender published no
// message.
var errNothingPublished = errors.New("rabbitmq: Encode: the sender returned nil without publishing through a Publisher; expected a sender made by rabbitmq.Sender")

// Encode calls sender as a bus would, and returns the messages that it publishes
// through a [Publisher], in order. Nothing is sent: it needs no broker, and the
// publisher doesn't connect. Use it to test what consumers get.
//
// The messages are as they would go over the wire: with the message id and the
// AppID, numbers in headers as AMQP types, the timestamp in whole seconds and the
// expiration in whole milliseconds. If the sender returns an error, Encode returns
// it together with the messages that were published nevertheless.
//
// The sender finds in its context the batch of ctx, for example from
// [entsignal.NewBatchContext]. If ctx has none, Encode makes the batch of an
// autoflush: the signal's name is the name of T, and the ids come from the field ID
// of the signals.
func Encode[T any](ctx context.Context, sender entsignal.Sender[T], signals ...T) ([]Message, error) {
	if sender == nil {
		return nil, errors.New("rabbitmq: Encode: the sender is nil")
	}
	if _, ok := entsignal.BatchFromContext(ctx); !ok {
		ctx = entsignal.NewBatchContext(ctx, batchFor(signals))
	}
	r := &Recorder{}
	err := sender(context.WithValue(ctx, recorderKey{}, r), signals)
	msgs := r.Messages()
	if err == nil && len(msgs) == 0 && len(signals) > 0 {
		err = errNothingPublished
	}
	return msgs, err
}

// batchFor returns the batch of an autoflush of these signals.
func batchFor[T any](signals []T) entsignal.Batch {
	entity := reflect.TypeFor[T]()
	if entity.Kind() == reflect.Pointer {
		entity = entity.Elem()
	}
	b := entsignal.Batch{Signal: entsignal.Info{Name: entity.Name()}, Mode: entsignal.ModeAutoFlush}
	for _, signal := range signals {
		v := reflect.Indirect(reflect.ValueOf(signal))
		if v.Kind() != reflect.Struct || !v.FieldByName("ID").IsValid() {
			b.Items = nil // so no message gets an id
			break
		}
		b.Items = append(b.Items, entsignal.Item{ID: idText(v.FieldByName("ID").Interface())})
	}
	return b
}

// idText formats an id as the bus does, except for ids that need the field's
// ValueScanner.
func idText(id any) string {
	switch id := id.(type) {
	case fmt.Stringer:
		return id.String()
	case encoding.TextMarshaler:
		if text, err := id.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(id)
}
