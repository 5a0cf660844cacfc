"""Card selection: by AID, power-on data and protocol."""
