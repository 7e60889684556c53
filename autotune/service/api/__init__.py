"""The JSON endpoints under `/api/v1`: one module, one router, for each thing that can be asked of."""
