"""The model that ships inside the package and answers without a GPU or a network: run time only."""
