// Stands for a module that a film never reaches; whoever reaches it after all gets an empty object, and no film.
export default {};
