package editorial

import (
	"context"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/services/internal/store"
)

type correctionServer struct {
	editorialv1.UnimplementedCorrectionServiceServer
	*Office
}

func (o *Office) eraseConfirmation(store.Reader, *writer, string) error { return nil }
func (o *Office) remind(context.Context) (int, error)                   { return 0, nil }
