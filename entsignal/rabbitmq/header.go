package rabbitmq

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
)

// maxDepth is how deep headers may nest. Without it, a map that contains itself
// would crash the process.
const maxDepth = 32

// maxElements is how many values a table or a list may have. amqp091-go reads no more,
// and ends the connection instead: that of a consumer for ever, and that of the publisher
// if the broker returns the message.
const maxElements = 8192

// convertHeaders copies headers into types that amqp091-go can encode, and returns
// their encoded size. Its errors name the header.
func convertHeaders(headers map[string]any) (amqp.Table, int, error) {
	return convertMap(headers, 0)
}

func convertMap[V any](in map[string]V, depth int) (amqp.Table, int, error) {
	const lengthBytes = 4
	if len(in) > maxElements {
		return nil, 0, errTooMany(len(in))
	}
	table, size := make(amqp.Table, len(in)), lengthBytes
	for key, value := range in {
		if err := checkShort(key); err != nil {
			return nil, 0, fmt.Errorf("name %s: %w", quote(key, 80), err)
		}
		converted, n, err := convertValue(value, depth)
		if err != nil {
			return nil, 0, within(quote(key, 80), depth, err)
		}
		table[key] = converted
		size += 1 + len(key) + n
	}
	return table, size, nil
}

func convertSlice[V any](in []V, depth int) ([]any, int, error) {
	const lengthBytes = 4
	if len(in) > maxElements {
		return nil, 0, errTooMany(len(in))
	}
	out, size := make([]any, len(in)), lengthBytes
	for i, value := range in {
		converted, n, err := convertValue(value, depth)
		if err != nil {
			return nil, 0, within(fmt.Sprintf("element %d", i), depth, err)
		}
		out[i] = converted
		size += n
	}
	return out, size, nil
}

func errTooMany(n int) error {
	return fmt.Errorf("%d values, at most %d allowed", n, maxElements)
}

// within adds the place of err, down to the third level.
func within(place string, depth int, err error) error {
	if depth > 2 {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}

// convertValue returns the value and its encoded size, including the byte for its
// type.
func convertValue(value any, depth int) (_ any, size int, err error) {
	if depth++; depth > maxDepth {
		return nil, 0, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch v := value.(type) {
	case nil:
		return nil, 1, nil
	case bool, int8, uint8:
		return v, 2, nil
	case int16, uint16:
		return v, 3, nil
	case int32, uint32, float32:
		return v, 5, nil
	case int64, float64:
		return v, 9, nil
	case int:
		return convertInt(int64(v))
	case uint:
		return convertUint(uint64(v))
	case uint64:
		return convertUint(v)
	case amqp.Decimal:
		return v, 6, nil
	case time.Time:
		if v.Unix() < 0 {
			return nil, 0, errors.New("a time before 1970")
		}
		return v, 9, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, 0, errors.New("not valid UTF-8")
		}
		return v, 5 + len(v), nil
	case []byte:
		return v, 5 + len(v), nil
	case amqp.Table:
		return tagged(convertMap(v, depth))
	case map[string]any:
		return tagged(convertMap(v, depth))
	case map[string]string:
		return tagged(convertMap(v, depth))
	case []any:
		return tagged(convertSlice(v, depth))
	case []string:
		return tagged(convertSlice(v, depth))
	default:
		return nil, 0, fmt.Errorf("a header can't hold %T", value)
	}
}

// convertInt returns a type of fixed size, because amqp091-go sends only the lowest
// 32 bits of an int.
func convertInt(v int64) (any, int, error) {
	if v >= math.MinInt32 && v <= math.MaxInt32 {
		return int32(v), 5, nil
	}
	return v, 9, nil
}

func convertUint(v uint64) (any, int, error) {
	if v > math.MaxInt64 {
		return nil, 0, errors.New("a number above the largest int64")
	}
	return convertInt(int64(v))
}

func tagged[V any](v V, size int, err error) (any, int, error) {
	return v, size + 1, err
}
