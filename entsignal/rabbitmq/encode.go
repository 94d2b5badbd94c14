package rabbitmq

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"reflect"

	"github.com/entsignal/signalbus/entsignal"
)

// errNothingPublished is the error of an [Encode] that got nothing.
var errNothingPublished = errors.New("rabbitmq: Encode: the sender returned nil and published nothing through a Publisher; expected one that rabbitmq.Sender has made")

// Encode calls sender with signals as a bus does, and returns the messages that
// it publishes through a [Publisher], in order. None leaves: no broker is needed,
// and the publisher doesn't connect. A test can assert by it what consumers get.
//
// The messages are what goes over the wire: with the message id and the AppID,
// numbers of headers in their AMQP types, the timestamp in whole seconds and the
// expiration in whole milliseconds. With the error, which is the sender's, come the
// messages that it published nevertheless.
//
// The sender finds in its context the batch of ctx, such as that of
// [entsignal.NewBatchContext]; if ctx has none, one that an autoflush would make:
// the signal's name is that of its type, and the ids are those of the fields ID.
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

// batchFor returns the batch that an autoflush of these signals would be.
func batchFor[T any](signals []T) entsignal.Batch {
	entity := reflect.TypeFor[T]()
	if entity.Kind() == reflect.Pointer {
		entity = entity.Elem()
	}
	b := entsignal.Batch{Signal: entsignal.Info{Name: entity.Name()}, Mode: entsignal.ModeAutoFlush}
	for _, signal := range signals {
		v := reflect.Indirect(reflect.ValueOf(signal))
		if v.Kind() != reflect.Struct || !v.FieldByName("ID").IsValid() {
			b.Items = nil // and no message has an id
			break
		}
		b.Items = append(b.Items, entsignal.Item{ID: idText(v.FieldByName("ID").Interface())})
	}
	return b
}

// idText returns the text that the bus makes of an id, of all but those that need
// the field's ValueScanner.
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
