package signalcli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

func newShowCommand(sys system, g *global) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "show NAME --id ID",
		Short: "Show one pending signal as JSON",
		Long: `Show one pending signal, with the edges that its sender gets, as JSON: all its
fields but those that the schema marks as sensitive. It changes nothing.`,
		Example: `  signalbus show OrderPlaced --id 17

  # one field
  signalbus show OrderPlaced --id 17 | jq -r .fields.customer`,
		Args:              oneName,
		ValidArgsFunction: completeOneName(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, args []string) error {
			if id == "" {
				return cli.UsageErrorf(c, "which signal? expected --id")
			}
			return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
				if _, err := (selection{names: args}).choose(bus.Signals()); err != nil {
					return cli.NewUsageError(c, err)
				}
				found, err := bus.Show(ctx, args[0], id)
				if errors.As(err, new(*entsignal.InvalidIDError)) {
					return cli.NewUsageError(c, err)
				}
				if err != nil {
					return err
				}
				fields, err := fieldsOf(found)
				if err != nil {
					return err
				}
				return printJSON(c.OutOrStdout(), shown{Signal: args[0], ID: id, Fields: fields})
			})
		}),
	}
	c.Flags().StringVar(&id, "id", "", "id of the signal")
	complete(c, "id", cobra.NoFileCompletions)
	return c
}

// shown is a signal as it is printed.
type shown struct {
	Signal string                     `json:"signal"`
	ID     string                     `json:"id"`
	Fields map[string]json.RawMessage `json:"fields"`
}

// fieldsOf returns the fields of an entity by their names in JSON. ent's own JSON
// leaves out those that are zero.
func fieldsOf(entity any) (map[string]json.RawMessage, error) {
	v := reflect.Indirect(reflect.ValueOf(entity))
	fields := make(map[string]json.RawMessage)
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || len(f.Index) > 1 || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		text, err := json.Marshal(v.FieldByIndex(f.Index).Interface())
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if name != "edges" || string(text) != "{}" {
			fields[name] = text
		}
	}
	return fields, nil
}
