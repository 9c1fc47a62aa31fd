"""Training, by driving TRL and PEFT: base model, teacher's answers, adapter, merged model."""
