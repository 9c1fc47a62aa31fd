"""What engines run: the adapter and the merged model, trained by driving TRL and PEFT."""
