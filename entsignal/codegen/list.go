package codegen

import (
	"cmp"
	"errors"
	"slices"

	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal"
)

// Signals returns the signals of a schema graph, sorted by name, without generating
// anything. The burst count of a signal that sets none is 1, the default of a bus.
// If a signal has an error, it returns no signals, and the error that the
// generation would return.
func Signals(g *gen.Graph) ([]entsignal.Info, error) {
	signals, err := checked(g)
	if err != nil {
		return nil, err
	}
	infos := make([]entsignal.Info, 0, len(signals))
	for _, s := range signals {
		infos = append(infos, entsignal.Info{
			Name:         s.Name,
			Table:        s.Table(),
			AutoFlush:    s.AutoFlush,
			BurstCount:   cmp.Or(s.BurstCount, 1),
			OrderBy:      append([]entsignal.OrderTerm{}, s.OrderBy...), // never null in JSON
			OrderKey:     key(s),
			LockOrderKey: s.LockOrderKey,
		})
	}
	slices.SortFunc(infos, func(a, b entsignal.Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// key returns the name of a signal's key field, or an empty string.
func key(s *signal) string {
	if s.OrderKey == nil {
		return ""
	}
	return s.OrderKey.Name
}

// CheckName returns the error that the generation would return because of a
// schema's name: ent rejects the name, or the generated bus already uses it.
func CheckName(name string) error {
	if err := gen.ValidSchemaName(name); err != nil {
		return err
	}
	return errors.Join(checkTypeName(name)...)
}
