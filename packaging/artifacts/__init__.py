"""What is packed of the program, for those who install it."""
